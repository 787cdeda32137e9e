package kfcrypto

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha1" // the platform's choice
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"slices"
	"strings"
	"sync"
)

// ErrSignature says that a callback was not signed with this callback token, or was changed on its way.
var ErrSignature = errors.New("kfcrypto: signature does not match")

// ErrMalformed says that an envelope, a ciphertext or what was in it is wrong. Which part is wrong is not said,
// on purpose: whoever knows the callback token and could tell bad padding from a bad length could forge callbacks
// without the key.
var ErrMalformed = errors.New("kfcrypto: malformed callback")

// AnyReceiveID given to New accepts every receiveid. Whoever uses it compares what Open returns itself.
const AnyReceiveID = "*"

const maxReceiveID = 64 // corpids and suiteids are 18 characters

// Codec signs, opens and seals callbacks with one callback token and one EncodingAESKey.
// Make it with New; it is safe for concurrent use. It prints as an address, never its keys.
//
// https://developer.work.weixin.qq.com/document/path/90968
type Codec struct {
	k func() *keys // a function: for a wrong verb, fmt follows a pointer to a struct even in an unexported field
}

type keys struct {
	token      []byte
	receiveIDs []string // nil: any
	block      cipher.Block
	iv         [aes.BlockSize]byte
	pool       sync.Pool // of *scratch
}

// scratch is what one call needs and the next can use again.
type scratch struct {
	sha  hash.Hash
	text []byte // timestamp and nonce as bytes
	sum  [sha1.Size]byte
	cbc  cipher.BlockMode
}

// New returns a Codec. receiveIDs are the receiveids that Open and Decrypt accept, at least one: the corpid for an
// internal app, with or without Kf. "" accepts an empty one, and AnyReceiveID alone accepts all.
// No error quotes the token or the key.
func New(callbackToken, encodingAESKey string, receiveIDs ...string) (*Codec, error) {
	token, err := ParseCallbackToken(callbackToken)
	if err != nil {
		return nil, err
	}
	key, err := ParseKey(encodingAESKey)
	if err != nil {
		return nil, err
	}
	allowed, err := parseReceiveIDs(receiveIDs)
	if err != nil {
		return nil, err
	}
	raw, err := key.aes()
	if err != nil {
		return nil, fmt.Errorf("encodingaeskey: %w", err) // not reached: ParseKey knows better
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, fmt.Errorf("encodingaeskey: %w", err) // not reached either
	}
	k := &keys{token: []byte(token.Reveal()), receiveIDs: allowed, block: block}
	copy(k.iv[:], raw)
	k.pool.New = func() any {
		return &scratch{sha: sha1.New(), cbc: cipher.NewCBCDecrypter(block, k.iv[:])}
	}
	return &Codec{func() *keys { return k }}, nil
}

func parseReceiveIDs(ids []string) ([]string, error) {
	if len(ids) == 0 {
		return nil, errors.New("receiveid: none given; give the corpid, or AnyReceiveID to accept every one")
	}
	for _, id := range ids {
		if len(id) > maxReceiveID {
			return nil, fmt.Errorf("receiveid: has %d bytes, want at most %d", len(id), maxReceiveID)
		}
	}
	if !slices.Contains(ids, AnyReceiveID) {
		return slices.Clone(ids), nil
	}
	if len(ids) > 1 {
		return nil, errors.New("receiveid: AnyReceiveID stands beside others; give it alone")
	}
	return nil, nil
}

// Sign returns the msg_signature of a callback or reply: lower-case hex, 40 characters.
// encrypt is the base64 text as it stands in the envelope or in echostr.
func (c *Codec) Sign(timestamp, nonce string, encrypt []byte) string {
	k := c.k()
	s := k.scratch()
	defer k.pool.Put(s)
	sig := k.sign(s, timestamp, nonce, encrypt)
	return string(sig[:])
}

// Open checks the signature of a delivered callback in constant time and then decrypts it.
// encrypt is Envelope.Encrypt; the other three are the query parameters, decoded once.
// message belongs to the caller; receiveID is the one of New that stood in it.
// The error is ErrSignature, or ErrMalformed for whatever is wrong after it. Safe to repeat.
//
// The protocol has no protection against replay, and the signed text has no separators: hold timestamp and nonce to
// their formats before, and recognise a repeated callback by its ciphertext, not by its nonce. (With a nonce that may begin
// with "=", even the base64 text of one ciphertext has two forms.)
//
// https://developer.work.weixin.qq.com/document/path/90930
func (c *Codec) Open(signature, timestamp, nonce string, encrypt []byte) (message []byte, receiveID string, err error) {
	k := c.k()
	s := k.scratch()
	defer k.pool.Put(s)
	want := k.sign(s, timestamp, nonce, encrypt)
	if subtle.ConstantTimeCompare(want[:], []byte(signature)) != 1 {
		return nil, "", ErrSignature
	}
	return k.decrypt(s, encrypt)
}

// VerifyURL answers the GET by which the platform checks a callback URL: echo is the whole body of the 200, due within
// one second. echostr is the query parameter, decoded once; a space in it counts as the "+" it was.
// An echo is 1 to 64 letters or digits. Anything else is ErrMalformed, or the URL check would decrypt captured callbacks.
//
// https://developer.work.weixin.qq.com/document/path/90930
func (c *Codec) VerifyURL(signature, timestamp, nonce, echostr string) (echo string, err error) {
	message, _, err := c.Open(signature, timestamp, nonce, []byte(strings.ReplaceAll(echostr, " ", "+")))
	if err != nil {
		return "", err
	}
	if len(message) < 1 || len(message) > 64 || notAlphanumeric(string(message)) >= 0 {
		return "", ErrMalformed
	}
	return string(message), nil
}

// Decrypt opens a ciphertext without a signature, for tools that have none. It proves nothing about who wrote it:
// never act on its result, and never let the network see its error. The error is ErrMalformed.
func (c *Codec) Decrypt(encrypt []byte) (message []byte, receiveID string, err error) {
	k := c.k()
	s := k.scratch()
	defer k.pool.Put(s)
	return k.decrypt(s, encrypt)
}

func (k *keys) scratch() *scratch { return k.pool.Get().(*scratch) }

// sign hashes the four texts in ascending byte order, with nothing between them.
func (k *keys) sign(s *scratch, timestamp, nonce string, encrypt []byte) (out [2 * sha1.Size]byte) {
	s.text = append(append(s.text[:0], timestamp...), nonce...)
	parts := [...][]byte{k.token, s.text[:len(timestamp)], s.text[len(timestamp):], encrypt}
	slices.SortFunc(parts[:], bytes.Compare)
	s.sha.Reset()
	for _, p := range parts {
		s.sha.Write(p)
	}
	hex.Encode(out[:], s.sha.Sum(s.sum[:0]))
	return out
}
