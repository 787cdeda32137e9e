package console

import (
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// journaled makes a step of one entry of the simulator's journal, or remembers what
// a later step needs of it.
func (c *Console) journaled(e kfsim.Entry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := step{Kind: stepPlatform, Where: e.Kind}
	s.body(oneLine(e))
	switch e.Kind {
	case kfsim.KindDelivered: // the attempt before it says so
		return
	case kfsim.KindSend: // its call comes next
		c.counted = e
		return
	case kfsim.KindCallback, kfsim.KindAttempt, kfsim.KindGivenUp:
		c.rang(&s, e)
	case kfsim.KindCall:
		c.called(&s, e)
	default:
		if !c.happened(&s, e) {
			return
		}
	}
	c.record(s)
}

// rang describes a callback on its way.
func (c *Console) rang(s *step, e kfsim.Entry) {
	s.Kind, s.Where = stepCallback, "POST "+c.callbacks
	n := strconv.FormatUint(e.Callback, 10) // 0 when it was coalesced with one that waits
	switch e.Kind {
	case kfsim.KindCallback:
		s.Summary = phrase("#"+n, "signed, encrypted")
		if e.Reason != "" {
			s.Summary, s.Tone = e.Reason, toneWarn
		}
		s.Flow = c.flows.join(lastItem(e.OpenKfID))
		c.flows.known.set(byCallback(n), s.Flow)
		c.flows.known.set(lastRing(events.Token(e.OpenKfID)), s.Flow)
		return
	case kfsim.KindAttempt:
		s.Summary, s.Tone = phrase("#"+n, httpStatus(e.Status), attempt(e.Attempt)), toneGood
		if e.Status != 200 {
			s.Summary, s.Tone = phrase(s.Summary, e.Reason), toneWarn
		}
	case kfsim.KindGivenUp:
		s.Summary, s.Tone = phrase("#"+n, "given up", e.Reason), toneBad
	}
	s.Flow = c.flows.find(byCallback(n))
}

// called describes an API call.
func (c *Console) called(s *step, e kfsim.Entry) {
	s.Kind, s.Where = stepCall, "/cgi-bin/"+e.Path
	answer := "errcode " + strconv.Itoa(e.ErrCode)
	if e.Status != 0 {
		answer = httpStatus(e.Status)
	}
	switch e.Path {
	case "kf/sync_msg":
		s.Kind = stepPage
		more := ""
		if e.HasMore {
			more = "has_more"
		}
		s.Summary = phrase(count(len(e.Items), "item"), more)
		s.Quiet = len(e.Items) == 0 && !e.HasMore && e.ErrCode == 0 && e.Fault == ""
		keys := make([]string, len(e.Items))
		for i, id := range e.Items {
			keys[i] = byMsgID(id)
		}
		s.Flow = c.flows.find(keys...)
	case "gettoken", "kf/account/list":
		s.Summary, s.Quiet = answer, e.ErrCode == 0 && e.Fault == ""
	case "get_api_domain_ip": // asked for the time, without an access token
		s.Summary, s.Quiet = answer, e.Fault == ""
	default:
		nth := ""
		if c.counted.Call == e.Call && c.counted.Count > 0 {
			nth = strconv.Itoa(c.counted.Count) + " of 5"
		}
		s.Summary = phrase(answer, nth)
		if s.Flow = c.flows.waiting(c.conversation(e)); s.Flow == 0 {
			s.Flow = c.flows.find(byMsgID(e.MsgID))
		}
	}
	if e.ErrCode != 0 || e.Status != 0 {
		s.Summary, s.Tone = phrase(answer, e.Reason), toneBad
	}
	if e.Fault != "" {
		s.Summary, s.Tone = phrase(s.Summary, "fault "+e.Fault), toneWarn
	}
}

// happened describes what else the platform did; false means that it is no step of
// its own.
func (c *Console) happened(s *step, e kfsim.Entry) bool {
	s.Flow = c.flows.find(byMsgID(e.MsgID))
	switch e.Kind {
	case kfsim.KindItem:
		s.Flow = c.flows.join(byMsgID(e.MsgID), begun(c.conversation(e)))
		c.flows.known.drop(begun(c.conversation(e)))
		c.flows.known.set(lastItem(e.OpenKfID), s.Flow)
		s.Quiet, s.Summary = true, phrase(e.MsgType, e.EventType, e.Reason)
		return true
	case kfsim.KindState: // for a command, or for the item that comes next
		if s.Flow = c.flows.waiting(c.conversation(e)); e.Call == 0 {
			s.Flow = c.flows.join(begun(c.conversation(e)))
		}
		s.Summary = phrase("service_state "+strings.ReplaceAll(e.Change, "->", " → "), e.ServicerUserID)
		return true
	case kfsim.KindRecall:
		if e.Call != 0 {
			return false // the call says so
		}
	case kfsim.KindCorp:
		s.Quiet = true
		c.callbacks = c.callbackPath()
	case kfsim.KindServicer:
		s.Quiet = true
		if !slices.Contains(c.servicers[e.OpenKfID], e.ServicerUserID) {
			c.servicers[e.OpenKfID] = append(c.servicers[e.OpenKfID], e.ServicerUserID)
		}
	case kfsim.KindAccount, kfsim.KindCustomer, kfsim.KindToken:
		s.Quiet = true
	case kfsim.KindFail, kfsim.KindLost, kfsim.KindFault:
		s.Tone = toneWarn
	case kfsim.KindReset:
		c.servicers = map[string][]string{}
		fallthrough
	case kfsim.KindClock:
		c.feed.set("clock", "clock", []byte("{}"))
	}
	who := e.ServicerUserID
	if e.Kind == kfsim.KindFail {
		who = "fail_type " + strconv.Itoa(e.FailType)
	}
	s.Summary = phrase(e.Fault, e.Reason, who)
	return true
}

// conversation is the key of the conversation an entry is about.
func (c *Console) conversation(e kfsim.Entry) string {
	return events.ConversationKey(c.cfg.Corp, e.OpenKfID, e.ExternalUserID)
}

// callbackPath is where the platform posts to.
func (c *Console) callbackPath() string {
	for _, corp := range c.cfg.Sim.State().Corps {
		if corp.CorpID != c.cfg.Corp {
			continue
		}
		if u, err := url.Parse(corp.CallbackURL); err == nil {
			return u.Path
		}
	}
	return ""
}

func httpStatus(n int) string {
	if n == 0 {
		return "no answer"
	}
	return "HTTP " + strconv.Itoa(n)
}

func attempt(n int) string {
	if n < 2 {
		return ""
	}
	return "attempt " + strconv.Itoa(n)
}
