package kfcrypto

import "errors"

// KeyRing opens callbacks with any of several Codecs: during a rotation the platform may still use the old callback
// token or EncodingAESKey. Every call asks every Codec, so neither the answer nor the time it takes says which one fits.
// Make it with NewKeyRing; it is safe for concurrent use.
type KeyRing struct{ codecs []*Codec }

// NewKeyRing returns a KeyRing of current and what came before it. One Codec alone is fine.
func NewKeyRing(current *Codec, older ...*Codec) (*KeyRing, error) {
	codecs := append([]*Codec{current}, older...)
	for _, c := range codecs {
		if c == nil || c.k == nil {
			return nil, errors.New("keyring: a codec is missing; make each with New")
		}
	}
	return &KeyRing{codecs}, nil
}

// Open is Codec.Open with the first Codec that fits. The error is ErrMalformed if any signature matched, else ErrSignature.
func (r *KeyRing) Open(signature, timestamp, nonce string, encrypt []byte) (message []byte, receiveID string, err error) {
	message, receiveID, _, err = r.OpenWith(signature, timestamp, nonce, encrypt)
	return message, receiveID, err
}

// OpenWith is Open, and returns the Codec that fitted: a passive reply is sealed with the same one. It is nil with an error.
func (r *KeyRing) OpenWith(signature, timestamp, nonce string, encrypt []byte) (message []byte, receiveID string, with *Codec, err error) {
	err = ErrSignature
	for _, c := range r.codecs {
		m, id, e := c.Open(signature, timestamp, nonce, encrypt)
		if err == nil || errors.Is(e, ErrSignature) {
			continue
		}
		if message, receiveID, err = m, id, e; err == nil {
			with = c
		}
	}
	return message, receiveID, with, err
}

// VerifyURL is Codec.VerifyURL with the first Codec that fits; errors as in Open.
func (r *KeyRing) VerifyURL(signature, timestamp, nonce, echostr string) (echo string, err error) {
	err = ErrSignature
	for _, c := range r.codecs {
		s, e := c.VerifyURL(signature, timestamp, nonce, echostr)
		if err != nil && !errors.Is(e, ErrSignature) {
			echo, err = s, e
		}
	}
	return echo, err
}
