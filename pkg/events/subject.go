package events

import (
	"fmt"
	"strings"
)

// Kind is the second token of a subject: what kind of thing is published there.
type Kind string

// Kinds of subjects.
const (
	KindCallback Kind = "callback" // kf.callback.<corp>.<open_kfid>
	KindApp      Kind = "app"      // kf.app.<corp>.<agentid>.<class>.<name>.<from_user>
	KindMessage  Kind = "message"  // kf.message.<corp>.<open_kfid>.<msgtype>.<external_userid>
	KindEvent    Kind = "event"    // kf.event.<corp>.<open_kfid>.<event_type>.<external_userid>
	KindHistory  Kind = "history"  // kf.history.<corp>.<open_kfid>.<msgtype>.<external_userid>
	KindCursor   Kind = "cursor"   // kf.cursor.<corp>.<open_kfid>
	KindCommand  Kind = "command"  // kf.command.<team>.<corp>.<open_kfid>.<verb>.<external_userid>
	KindOutcome  Kind = "outcome"  // kf.outcome.<team>.<corp>.<open_kfid>.<state>.<external_userid>
	KindDead     Kind = "dead"     // kf.dead.<service>.<reason>
	KindAPI      Kind = "api"      // kf.api.<corp>.<path, dots for slashes>
	KindToken    Kind = "token"    // kf.token.suspect.<corp>
)

// Classes of ordinary app callbacks.
const (
	AppMessage = "message"
	AppEvent   = "event"
)

const (
	prefix       = "kf."
	suspectToken = "suspect"
	replayToken  = "replay"
)

// Subject is a subject taken apart. The fields hold tokens, not ids: see
// [Token]. Fields that a kind does not have are "".
type Subject struct {
	Kind    Kind
	Team    string // command, outcome
	Corp    string // all but dead
	Account string // the open_kfid's token: callback, message, event, history, cursor, command, outcome
	Agent   string // app
	Class   string // app: message or event
	Name    string // msgtype, event_type, verb, state, or the API path with dots
	User    string // the external_userid's token; of app, the from_user's
	Service string // dead
	Reason  string // dead
}

// CallbackSubject is where a doorbell is published. openKfID may be "".
func CallbackSubject(corp, openKfID string) string {
	return join(KindCallback, Token(corp), Token(openKfID))
}

// AppSubject is where an ordinary WeCom app callback is published. class is
// [AppMessage] or [AppEvent]; name is the MsgType or the Event.
func AppSubject(corp, agentID, class, name, fromUser string) string {
	return join(KindApp, Token(corp), Token(agentID), class, Token(name), Token(fromUser))
}

// MessageSubject is where a pulled message is published.
func MessageSubject(corp, openKfID, msgType, externalUserID string) string {
	return join(KindMessage, Token(corp), Token(openKfID), Token(msgType), Token(externalUserID))
}

// EventSubject is where a pulled event, or one of our own, is published.
func EventSubject(corp, openKfID, eventType, externalUserID string) string {
	return join(KindEvent, Token(corp), Token(openKfID), Token(eventType), Token(externalUserID))
}

// HistorySubject is where an item older than the cold start is published. name
// is the msgtype, or for an event its event_type.
func HistorySubject(corp, openKfID, name, externalUserID string) string {
	return join(KindHistory, Token(corp), Token(openKfID), Token(name), Token(externalUserID))
}

// CursorSubject is where the account's cursor is kept.
func CursorSubject(corp, openKfID string) string {
	return join(KindCursor, Token(corp), Token(openKfID))
}

// CommandSubject is where a team publishes a command; verb is one of [Verbs].
func CommandSubject(team, corp, openKfID, verb, externalUserID string) string {
	return join(KindCommand, Token(team), Token(corp), Token(openKfID), Token(verb), Token(externalUserID))
}

// OutcomeSubject is where the outcome of a command is published. It takes the
// tokens of the command's subject, since a hashed one cannot be turned back.
func OutcomeSubject(command Subject, state string) string {
	return join(KindOutcome, command.Team, command.Corp, command.Account, state, command.User)
}

// DeadSubject is where a service publishes what it could not process.
func DeadSubject(service, reason string) string {
	return join(KindDead, Token(service), Token(reason))
}

// SuspectSubject is where a caller reports a refused access token.
func SuspectSubject(corp string) string {
	return join(KindToken, suspectToken, Token(corp))
}

// PulledSubject is where a syncer says, to whoever listens at that moment, that an account was pulled to its end. No stream
// keeps it. An openKfID of "*" matches every account.
func PulledSubject(corp, openKfID string) string {
	if openKfID != "*" {
		openKfID = Token(openKfID)
	}
	return prefix + "pulled." + Token(corp) + "." + openKfID
}

// APISubject is where request/reply for one API call is served: path is the
// platform's, without /cgi-bin/kf/, for example "account/list".
func APISubject(corp, path string) string {
	return join(KindAPI, Token(corp), strings.ReplaceAll(path, "/", "."))
}

// ReplayPrefix is what stands before the tokens of a replayed subject: the copy of
// kf.message.ww1.… is on ReplayPrefix(name) + ".message.ww1.…". Nobody but a replay
// publishes there, and no stream of ours takes it.
func ReplayPrefix(name string) string { return prefix + replayToken + "." + Token(name) }

// ConversationKey is the key of a conversation in [BucketLedger] and
// [BucketConversations]; it takes ids.
func ConversationKey(corp, openKfID, externalUserID string) string {
	return Token(corp) + "." + Token(openKfID) + "." + Token(externalUserID)
}

// ConversationKey is the same key from a subject that names a customer.
func (s Subject) ConversationKey() string { return s.Corp + "." + s.Account + "." + s.User }

// TokenKey is the key of a credential's access token in [BucketTokens].
// A corp has one credential for each of its apps; credential is the operator's
// name for it.
func TokenKey(corp, credential string) string { return Token(corp) + "." + Token(credential) }

// TokenLeaderKey is the key in [BucketTokens] that names the tokenkeeper whose
// turn it is to refresh a credential. It is one token longer than any [TokenKey].
func TokenLeaderKey(corp, credential string) string { return TokenKey(corp, credential) + ".leader" }

// MediaObject names an inbound file in [BucketMedia]. It is a hash, since whoever knows a media_id can fetch the file with it.
func MediaObject(corp, mediaID string) string { return Token(corp) + "." + hashed(corp+"/"+mediaID) }

// UploadKey is the key of an uploaded file in [BucketUploads]: of its kind, its name where the customer sees it, and the
// SHA-256 of its bytes.
func UploadKey(corp, kind, filename, sum string) string {
	return Token(corp) + "." + Token(kind) + "." + hashed(filename+"\n"+sum)
}

// ThrottleKey is the key of a shared pause in [BucketThrottle].
func ThrottleKey(corp, api string) string {
	return Token(corp) + "." + Token(strings.ReplaceAll(api, "/", "_"))
}

func join(k Kind, tokens ...string) string {
	return prefix + string(k) + "." + strings.Join(tokens, ".")
}

// String puts the subject together again: for every s that ParseSubject
// accepts, ParseSubject(s).String() == s.
func (s Subject) String() string {
	switch s.Kind {
	case KindCallback, KindCursor:
		return join(s.Kind, s.Corp, s.Account)
	case KindApp:
		return join(s.Kind, s.Corp, s.Agent, s.Class, s.Name, s.User)
	case KindMessage, KindEvent, KindHistory:
		return join(s.Kind, s.Corp, s.Account, s.Name, s.User)
	case KindCommand, KindOutcome:
		return join(s.Kind, s.Team, s.Corp, s.Account, s.Name, s.User)
	case KindDead:
		return join(s.Kind, s.Service, s.Reason)
	case KindAPI:
		return join(s.Kind, s.Corp, s.Name)
	case KindToken:
		return join(s.Kind, suspectToken, s.Corp)
	}
	return ""
}

// ParseSubject takes a subject apart. It accepts exactly what the constructors
// make, and the stored form of a lane (see [LaneSubject]), whose lane it drops.
func ParseSubject(subject string) (Subject, error) {
	bad := func(why string) (Subject, error) {
		return Subject{}, fmt.Errorf("subject %q: %s", subject, why)
	}
	rest, ok := strings.CutPrefix(stripLane(subject), prefix)
	if !ok {
		return bad("does not start with kf.")
	}
	t := strings.Split(rest, ".")
	for _, tok := range t {
		if !IsToken(tok) {
			return bad("has a token that is not of A-Z a-z 0-9 _ - or =hash, or is longer than 64")
		}
	}
	want := map[Kind]int{KindCallback: 3, KindCursor: 3, KindApp: 6, KindMessage: 5, KindEvent: 5,
		KindHistory: 5, KindCommand: 6, KindOutcome: 6, KindDead: 3, KindToken: 3}
	k := Kind(t[0])
	switch n, ok := want[k]; {
	case k == KindAPI && len(t) < 3:
		return bad("needs kf.api.<corp>.<path>")
	case k != KindAPI && !ok:
		return bad("is of no known kind")
	case ok && len(t) != n:
		return bad(fmt.Sprintf("has %d tokens after kf, want %d", len(t), n))
	}
	switch k {
	case KindCallback, KindCursor:
		return Subject{Kind: k, Corp: t[1], Account: t[2]}, nil
	case KindApp:
		if t[3] != AppMessage && t[3] != AppEvent {
			return bad("has neither message nor event as its fifth token")
		}
		return Subject{Kind: k, Corp: t[1], Agent: t[2], Class: t[3], Name: t[4], User: t[5]}, nil
	case KindMessage, KindEvent, KindHistory:
		return Subject{Kind: k, Corp: t[1], Account: t[2], Name: t[3], User: t[4]}, nil
	case KindCommand, KindOutcome:
		return Subject{Kind: k, Team: t[1], Corp: t[2], Account: t[3], Name: t[4], User: t[5]}, nil
	case KindDead:
		return Subject{Kind: k, Service: t[1], Reason: t[2]}, nil
	case KindToken:
		if t[1] != suspectToken {
			return bad("is not kf.token.suspect.<corp>")
		}
		return Subject{Kind: k, Corp: t[2]}, nil
	}
	return Subject{Kind: KindAPI, Corp: t[1], Name: strings.Join(t[2:], ".")}, nil
}
