package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kfbus/kfbus/pkg/kfcrypto"
)

// finding is what came of looking at a callback. It holds nothing secret but, behind --show, the document.
type finding struct {
	OK        bool     `json:"ok"`
	Step      string   `json:"step,omitempty"`  // the one that failed
	Passed    []string `json:"passed"`          // those before it
	Cause     string   `json:"cause,omitempty"` // the likely one
	Do        string   `json:"do,omitempty"`
	Kind      string   `json:"kind,omitempty"`
	Account   string   `json:"open_kfid,omitempty"`
	AgentID   string   `json:"agentid,omitempty"`
	ReceiveID string   `json:"receiveid,omitempty"`
	Keys      string   `json:"keys,omitempty"` // which opened it
	Notes     []string `json:"notes,omitempty"`
	Document  string   `json:"document,omitempty"` // with --show
}

// fault is why a step failed: the likely cause, and what to do. nil: it did not.
type fault struct{ cause, do string }

// exam is a callback on the table: each step leaves what it found for the next.
type exam struct {
	captured
	all     []opener
	at      int // of the door in all
	now     time.Time
	arrived bool // now is when it arrived, not when it is looked at

	p       params
	env     kfcrypto.Envelope
	encrypt string // as it was signed
	with    int    // of the pair that signed
	sealed  []byte
	opened  frame
	doc     func(name string) string
	found   finding
}

// steps are the order of validation; what fails first is the answer.
//
// https://developer.work.weixin.qq.com/document/path/90968
var steps = [...]struct {
	name  string
	check func(*exam) *fault
}{
	{"settings", (*exam).settings},
	{"request", (*exam).request},
	{"parameters", (*exam).parameters},
	{"envelope", (*exam).envelope},
	{"signature", (*exam).signature},
	{"base64", (*exam).base64},
	{"length", (*exam).length},
	{"padding", (*exam).padding},
	{"frame", (*exam).frame},
	{"receiveid", (*exam).receiveID},
	{"content", (*exam).content},
	{"receiver", (*exam).receiver},
	{"timestamp", (*exam).timestamp},
}

// diagnose takes a callback apart as the ingress would, and says where it fails and why that is likely so. It is pure.
// at is the door it came to in all. now is when it arrived, or, if that is not known, when somebody looks at it.
func diagnose(c captured, all []opener, at int, now time.Time, arrived bool) finding {
	x := &exam{captured: c, all: all, at: at, now: now, arrived: arrived}
	x.found.Passed = []string{}
	for _, s := range steps {
		if f := s.check(x); f != nil {
			x.found.Step, x.found.Cause, x.found.Do = s.name, f.cause, f.do
			break
		}
		x.found.Passed = append(x.found.Passed, s.name)
	}
	x.found.OK = x.found.Step == ""
	x.found.Document = string(x.opened.message)
	return x.found
}

func (x *exam) door() opener { return x.all[x.at] }

func (x *exam) note(format string, a ...any) {
	x.found.Notes = append(x.found.Notes, fmt.Sprintf(format, a...))
}

// settings: a Token or key that cannot be one explains everything behind it.
func (x *exam) settings() *fault {
	for _, p := range x.door().pairs {
		_, terr := kfcrypto.ParseCallbackToken(p.token.Reveal())
		_, kerr := kfcrypto.ParseKey(p.key.Reveal())
		switch {
		case terr != nil && wellFormed(p.token.Reveal(), parsesToken):
			return &fault{"the Token has white space or a byte order mark around it", "write the file again, for example with printf '%s'"}
		case terr != nil:
			return &fault{terr.Error(), "copy the Token again from the admin console"}
		case kerr != nil && wellFormed(p.key.Reveal(), parsesKey):
			return &fault{"the EncodingAESKey has white space, a byte order mark or an = around it", "write the file again: 43 letters and digits and nothing else"}
		case kerr != nil:
			return &fault{kerr.Error(), "copy the EncodingAESKey again from the admin console; kfbus keygen --check tries one"}
		}
	}
	return nil
}

func parsesToken(s string) bool { _, err := kfcrypto.ParseCallbackToken(s); return err == nil }
func parsesKey(s string) bool   { _, err := kfcrypto.ParseKey(s); return err == nil }

// wellFormed reports whether what is left without the usual dirt is what it should be.
func wellFormed(s string, parses func(string) bool) bool {
	return parses(strings.Trim(s, "\ufeff \t\r\n=\"'"))
}

const largestBody = 64 << 10 // that the ingress reads

func (x *exam) request() *fault {
	switch {
	case x.method != "GET" && x.method != "POST":
		return &fault{"the method is " + x.method + "; callbacks are POST, the console's check is GET", "this is not the platform: the answer is 405"}
	case x.method == "GET" && !x.door().answersGET:
		return &fault{"the console's check is switched off: …_VERIFY_URL is false", "set it to true while the URL is saved in the console"}
	case x.coding != "" && !strings.EqualFold(x.coding, "identity"):
		return &fault{"the body is encoded: Content-Encoding is " + clip(x.coding), "the platform sends none; let the proxy pass the body through as it is"}
	case len(x.body) > largestBody:
		return &fault{fmt.Sprintf("the body has %d bytes; callbacks have at most %d", len(x.body), largestBody), "this is not the platform: the answer is 413"}
	case x.said > int64(len(x.body)):
		return &fault{fmt.Sprintf("the body is cut short: Content-Length is %d, and %d bytes are here", x.said, len(x.body)),
			"capture it whole; if the ingress got it so, look for a proxy that limits or breaks requests"}
	case bytes.HasPrefix(x.body, []byte("\x1f\x8b")):
		return &fault{"the body is compressed with gzip", "the platform sends none; let the proxy pass the body through as it is"}
	}
	return nil
}

// envelope finds Encrypt; the echo of a GET has none around it.
func (x *exam) envelope() *fault {
	if x.method == "GET" {
		if x.encrypt = strings.ReplaceAll(x.p.echostr, " ", "+"); x.encrypt != x.p.echostr {
			x.note("a + of echostr stood bare in the URL and was read as a space: whoever wrote this URL decoded it once too often. " +
				"The ingress puts the + back; other programs answer that the signature is wrong")
		}
		return nil
	}
	env, err := kfcrypto.ScanEnvelope(x.body)
	if err != nil {
		return envelopeFault(x.body)
	}
	x.env, x.encrypt = env, string(env.Encrypt)
	return nil
}

// signature tries what is configured, then what is known to happen to Encrypt on its way, then the other doors.
func (x *exam) signature() *fault {
	for i, p := range x.door().pairs {
		if x.signedBy(p, x.encrypt) {
			if x.with = i; i > 0 {
				x.note("it is signed with %s: the change in the console has not arrived yet", p.name)
			}
			return nil
		}
	}
	for _, m := range mutations {
		mended := m.mend(x.encrypt)
		if mended != x.encrypt && slices.ContainsFunc(x.door().pairs, func(p pair) bool { return x.signedBy(p, mended) }) {
			return &fault{m.cause, m.do}
		}
	}
	for i, o := range x.all {
		if i != x.at && slices.ContainsFunc(o.pairs, func(p pair) bool { return x.signedBy(p, x.encrypt) }) {
			return &fault{fmt.Sprintf("it is signed with the Token of %s, and came to %s", o.title(), x.door().title()),
				"the two URLs in the console, or the two Tokens in KF_CORP_…, are exchanged"}
		}
	}
	return x.strange()
}

// strange is a signature that nothing explains; whether the content opens tells which half is wrong.
func (x *exam) strange() *fault {
	sealed, err := unbase64(x.encrypt)
	for i, o := range x.all {
		for _, p := range o.pairs {
			if err != nil || !openFrame(p.key, sealed).whole {
				continue
			}
			if i == x.at {
				return &fault{"the EncodingAESKey fits and the content is whole, but not the Token; or timestamp, nonce or msg_signature were changed or belong to another request",
					"copy the Token again from the admin console, of this app and not of another; then compare the query with what the platform sent"}
			}
			return &fault{fmt.Sprintf("it opens with the EncodingAESKey of %s, and came to %s", o.title(), x.door().title()),
				"two products share one URL: give each its own path"}
		}
	}
	cause := "neither the Token nor the EncodingAESKey fits: it is another app's, or both were changed in the console, or the content was changed on its way"
	if to := string(x.env.ToUserName); to != "" && !x.isReceiver(to) {
		cause = fmt.Sprintf("neither the Token nor the EncodingAESKey fits, and its ToUserName is %s: two products share one URL", clip(to))
	} else if agent := string(x.env.AgentID); agent != "" {
		cause += "; its AgentID is " + clip(agent)
	}
	return &fault{cause, "compare corp, app, Token and EncodingAESKey with the page 接收消息 of the app that sends it; each app has its own"}
}

func (x *exam) signedBy(p pair, encrypt string) bool {
	c, err := p.codec()
	return err == nil && c.Sign(x.p.timestamp, x.p.nonce, []byte(encrypt)) == x.p.signature
}

// clip shows an id that somebody else wrote: no more than an id has, and nothing that a terminal would obey.
func clip(id string) string {
	if len(id) > 64 || strings.IndexFunc(id, func(r rune) bool { return notAlnum(r) && !strings.ContainsRune("_-.@ ;,", r) }) >= 0 {
		return fmt.Sprintf("(%d bytes that are no id)", len(id))
	}
	return id
}
