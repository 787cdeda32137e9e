package kfcrypto

import (
	"fmt"
	"io"
)

// Sealed is an encrypted and signed message: what a callback or a passive reply carries.
// XML and JSON expect the fields as Seal made them.
type Sealed struct {
	Encrypt      []byte // base64
	MsgSignature string
	Timestamp    string
	Nonce        string
}

// Seal encrypts message for receiveID and signs it. timestamp is 1 to 20 digits (Unix seconds), nonce is 1 to 64 of
// [0-9A-Za-z_-]; the caller chooses both. random and the other errors are those of Encrypt.
// Answer with the receiveID that Open returned.
func (c *Codec) Seal(random io.Reader, timestamp, nonce string, message []byte, receiveID string) (Sealed, error) {
	if !spelled(timestamp, 20, digit) {
		return Sealed{}, fmt.Errorf("seal: timestamp of %d characters is not 1 to 20 digits", len(timestamp))
	}
	if !spelled(nonce, 64, func(c byte) bool { return alphanumeric(c) || c == '_' || c == '-' }) {
		return Sealed{}, fmt.Errorf("seal: nonce of %d characters is not 1 to 64 of [0-9A-Za-z_-]", len(nonce))
	}
	encrypt, err := c.Encrypt(random, message, receiveID)
	if err != nil {
		return Sealed{}, fmt.Errorf("seal: %w", err)
	}
	return Sealed{encrypt, c.Sign(timestamp, nonce, encrypt), timestamp, nonce}, nil
}

// XML returns the body of a passive reply to an app that receives XML. Kf events take none: answer "success".
//
// https://developer.work.weixin.qq.com/document/path/90241
func (s Sealed) XML() []byte {
	return fmt.Appendf(nil, "<xml><Encrypt><![CDATA[%s]]></Encrypt><MsgSignature><![CDATA[%s]]></MsgSignature>"+
		"<TimeStamp>%s</TimeStamp><Nonce><![CDATA[%s]]></Nonce></xml>", s.Encrypt, s.MsgSignature, s.Timestamp, s.Nonce)
}

// JSON returns the same for an app that receives JSON: all keys lower-case, all values strings.
func (s Sealed) JSON() []byte {
	return fmt.Appendf(nil, `{"encrypt":"%s","msgsignature":"%s","timestamp":"%s","nonce":"%s"}`,
		s.Encrypt, s.MsgSignature, s.Timestamp, s.Nonce)
}

// spelled reports whether s has 1 to most bytes and all of them are ok.
func spelled(s string, most int, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return 1 <= len(s) && len(s) <= most
}

func digit(c byte) bool { return '0' <= c && c <= '9' }
