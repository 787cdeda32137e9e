package sender

import (
	"fmt"

	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/services/sender/window"
)

// detail says to a person what an outcome means and what to do. It is never parsed and never repeats what a command held.
func detail(o window.Outcome) string {
	switch o.Reason {
	case window.ReasonNone, window.ReasonDuplicate:
		return ""
	case window.ReasonInvalid:
		return "the command is not well formed, or names a command that cannot be recalled"
	case window.ReasonExpired:
		return "its expirytime passed before it could be sent; was the sender down, or the time too short?"
	case window.ReasonDeadline:
		return "the event's code lives 20 s, and they are over"
	case window.ReasonGeneration:
		return "a human took the conversation over after this was written; read generation in kf_conversations again"
	case window.ReasonSessionState:
		return "the conversation waits in the pool, is a human's, or has ended: the API may not send; wait, or set in_human_session to hold"
	case window.ReasonNeverOpened:
		return "this customer has never written to this account, so nothing may be sent; reply to enter_session instead"
	case window.ReasonWindowClosed:
		return "48 hours have passed since the customer's last message; the next one opens a new window"
	case window.ReasonQuotaSpent:
		return "5 messages were sent since the customer's last one; the next one allows 5 more"
	case window.ReasonMedia:
		return "the file that it names is not there, or WeChat takes none of its size or type"
	case window.ReasonShareSpent:
		return "the team has taken as many of the 5 messages as it may; the customer's next one frees them"
	case window.ReasonTeamRate:
		return "the team's commands of a minute are used up for longer than this one may wait"
	case window.ReasonNotOwner:
		return "the account is another team's"
	case window.ReasonUnknownTeam:
		return "no team of this name may command here"
	case window.ReasonQueueFull:
		return "too many commands of this conversation wait already"
	case window.ReasonRecallWindow:
		return "more than 2 minutes have passed since the message was accepted"
	case window.ReasonNotFound:
		return "WeChat has no such message to take back"
	case window.ReasonBeforeSend:
		return "no message of that command was sent in this conversation, and none will be"
	case window.ReasonTakenBack:
		return "a recall came before it was sent"
	case window.ReasonLateEvidence:
		return "an answer or event that came late proved it"
	case window.ReasonMsgIDConflict:
		return "WeChat has seen this msgid on the account, though not from this command; use another command id"
	case window.ReasonNoAnswer:
		return "no request got a definite answer; the message may or may not have been delivered"
	case window.ReasonUnreachable:
		return "WeChat could not be reached in time; nothing was sent"
	case window.ReasonAbandoned:
		return "the command was removed from the stream after an attempt"
	case window.ReasonDeliveryFailed:
		why := "which no document names"
		if info, ok := kfapi.LookupFail(kfapi.FailType(o.FailType)); ok {
			why = info.Meaning
		}
		return fmt.Sprintf("WeChat accepted the message and then did not deliver it (fail_type %d: %s)", o.FailType, why)
	}
	if info, ok := kfapi.Lookup(o.Errcode); ok {
		return fmt.Sprintf("WeChat answers errcode %d: %s", o.Errcode, info.Meaning)
	}
	return fmt.Sprintf("WeChat answers errcode %d, which no document names", o.Errcode)
}
