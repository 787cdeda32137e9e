package kfsim

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// envelope is a callback's plaintext, encrypted and signed. The copies and repetitions of a callback
// share one, unless Personality.FreshRetry is on.
type envelope struct {
	query url.Values
	body  []byte
}

// sealRequest encrypts a callback that is not yet, and makes the request of one attempt.
func (s *Sim) sealRequest(ctx context.Context, cb *callback) (*http.Request, Personality, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if cb.sealed.body == nil || cb.attempt > 0 && s.p.FreshRetry {
		if err := s.seal(cb); err != nil {
			return nil, s.p, err
		}
	}
	hr, err := http.NewRequestWithContext(ctx, http.MethodPost, withQuery(cb.corp.CallbackURL, cb.sealed.query), bytes.NewReader(cb.sealed.body))
	if err != nil {
		return nil, s.p, fmt.Errorf("callback url of corp %s is no URL", cb.corp.CorpID)
	}
	hr.Header.Set("Content-Type", "text/xml")
	if cb.json {
		hr.Header.Set("Content-Type", "application/json")
	}
	return hr, s.p, nil
}

func (s *Sim) seal(cb *callback) error {
	c := cb.corp
	sealed, err := c.codec.Seal(bytes.NewReader(s.st.ids.next("random", 16)), strconv.FormatInt(s.clock.Now().Unix()+int64(cb.seals), 10), s.st.ids.digits("nonce", 10), cb.plain, c.CorpID)
	if err != nil {
		return fmt.Errorf("callback: %w", err)
	}
	signature := sealed.MsgSignature
	if cb.forged {
		signature = forge(signature)
	}
	env := envelope{query: url.Values{"msg_signature": {signature}, "timestamp": {sealed.Timestamp}, "nonce": {sealed.Nonce}}}
	if cb.json {
		env.body = object(str("tousername", c.CorpID), str("encrypt", string(sealed.Encrypt)), str("agentid", c.AgentID))
	} else {
		env.body = []byte("<xml>" + cdata("ToUserName", c.CorpID) + cdata("AgentID", c.AgentID) + cdata("Encrypt", string(sealed.Encrypt)) + "</xml>")
	}
	if cb.attempt > 0 {
		cb.sealed = &env // not the copies'
	} else {
		*cb.sealed = env
	}
	return nil
}

// forge changes the last digit of a signature.
func forge(signature string) string {
	last := "0"
	if strings.HasSuffix(signature, last) {
		last = "1"
	}
	return signature[:len(signature)-1] + last
}

// withQuery adds q to the query that a URL may have already.
func withQuery(base string, q url.Values) string {
	if strings.Contains(base, "?") {
		return base + "&" + q.Encode()
	}
	return base + "?" + q.Encode()
}

// element is one name and text of a callback's plaintext.
type element struct{ name, value string }

// kfPlaintext is the plaintext of a Kf callback: the common elements, then more of them.
//
// https://developer.work.weixin.qq.com/document/path/94670
func kfPlaintext(c *corp, now time.Time, event string, more ...element) []byte {
	if c.CallbackFormat == FormatJSON {
		fields := []field{str("ToUserName", c.CorpID), num("CreateTime", now.Unix()), str("MsgType", "event"), str("Event", event)}
		for _, e := range more {
			fields = append(fields, str(e.name, e.value))
		}
		return object(fields...)
	}
	var b strings.Builder
	b.WriteString("<xml>" + cdata("ToUserName", c.CorpID) + "<CreateTime>" + strconv.FormatInt(now.Unix(), 10) + "</CreateTime>" + cdata("MsgType", "event") + cdata("Event", event))
	for _, e := range more {
		b.WriteString(cdata(e.name, e.value))
	}
	b.WriteString("</xml>")
	return []byte(b.String())
}

func cdata(name, value string) string {
	return "<" + name + "><![CDATA[" + strings.ReplaceAll(value, "]]>", "]]]]><![CDATA[>") + "]]></" + name + ">"
}

// AppCallback is an ordinary WeCom app message or event: the plaintext as the app decrypts it, given
// in XML or in JSON. It is not looked into.
type AppCallback struct {
	CorpID string          `json:"corpid"` // may be empty while there is one corp
	XML    string          `json:"xml,omitempty"`
	JSON   json.RawMessage `json:"json,omitempty"`
}

// AppCallback sends an ordinary app callback to the corp's URL, encrypted, signed and repeated like
// the others. The envelope is XML for XML and JSON for JSON.
//
// https://developer.work.weixin.qq.com/document/path/90239
func (s *Sim) AppCallback(m AppCallback) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.st.corp(m.CorpID)
	if err != nil {
		return err
	}
	plain := []byte(m.XML)
	if len(plain) == 0 {
		plain = m.JSON
	}
	if len(plain) == 0 || len(m.XML) > 0 && len(m.JSON) > 0 {
		return fmt.Errorf("app callback: give the plaintext as xml or as json, one of them")
	}
	s.ring(&callback{corp: c, plain: bytes.Clone(plain), json: len(m.JSON) > 0})
	return nil
}
