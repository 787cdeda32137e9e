package kfsim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// VerifyURL does what the platform does when an administrator saves a callback URL: it GETs it with
// an encrypted echo and compares the answer byte for byte. nil means that the URL passed.
// corpID may be empty while there is one corp.
//
// https://developer.work.weixin.qq.com/document/path/90930
func (s *Sim) VerifyURL(ctx context.Context, corpID string) error {
	hr, echo, p, err := s.verification(ctx, corpID)
	if err == nil {
		err = s.compareEcho(hr, echo, p.EchoTimeout)
	}
	e := Entry{Kind: KindVerify, CorpID: corpID}
	if err != nil {
		e.Reason = err.Error()
	}
	s.journal.add(e)
	return err
}

func (s *Sim) compareEcho(hr *http.Request, echo string, timeout time.Duration) error {
	ctx, cancel := context.WithTimeout(hr.Context(), timeout)
	defer cancel()
	resp, err := s.client.Do(hr.WithContext(ctx))
	if err != nil {
		return errors.New("verify url: " + transportReason(err))
	}
	defer func() { _ = resp.Body.Close() }()
	got, err := io.ReadAll(io.LimitReader(resp.Body, 1024))
	switch {
	case err != nil:
		return errors.New("verify url: " + transportReason(err))
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("verify url: answer is HTTP %d, want 200", resp.StatusCode)
	case string(got) != echo:
		return fmt.Errorf("verify url: the answer has %d bytes and is not the %d decrypted digits; no quotes, BOM or newline may be around them", len(got), len(echo))
	}
	return nil
}

// verification makes the GET of a URL verification.
func (s *Sim) verification(ctx context.Context, corpID string) (hr *http.Request, echo string, p Personality, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.st.corp(corpID)
	if err != nil {
		return nil, "", s.p, err
	}
	if c.CallbackURL == "" {
		return nil, "", s.p, fmt.Errorf("corp %s has no callback_url; set one first", c.CorpID)
	}
	echo = s.st.ids.digits("echo", 19)
	sealed, err := c.codec.Seal(bytes.NewReader(s.st.ids.next("random", 16)), strconv.FormatInt(s.clock.Now().Unix(), 10), s.st.ids.digits("nonce", 10), []byte(echo), c.CorpID)
	if err != nil {
		return nil, "", s.p, fmt.Errorf("verify url: %w", err)
	}
	hr, err = http.NewRequestWithContext(ctx, http.MethodGet, withQuery(c.CallbackURL, url.Values{
		"msg_signature": {sealed.MsgSignature}, "timestamp": {sealed.Timestamp}, "nonce": {sealed.Nonce}, "echostr": {string(sealed.Encrypt)}}), nil)
	return hr, echo, s.p, err
}
