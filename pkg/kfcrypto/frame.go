package kfcrypto

import (
	"bytes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
)

// A frame is what is encrypted: 16 random bytes, the length of the message in 4 bytes big-endian, the message,
// the receiveid, and 1 to 32 bytes of padding that each say how many they are.
const (
	randomSize = 16
	headerSize = randomSize + 4
	padBlock   = 32 // twice the AES block

	// MaxMessage is the longest message, in bytes, that Encrypt takes: 16 times the largest body a callback has.
	MaxMessage = 1 << 20
)

// Encrypt returns the base64 text of message as the platform encrypts it, for the Encrypt field of an envelope.
// random gives the 16 bytes in front; nil is crypto/rand, and anything else is for tests.
// receiveID is written as it is, whatever New was given. It fails when message is longer than MaxMessage, receiveID
// is longer than 64 bytes, or random ends early.
func (c *Codec) Encrypt(random io.Reader, message []byte, receiveID string) ([]byte, error) {
	if len(message) > MaxMessage || len(receiveID) > maxReceiveID {
		return nil, fmt.Errorf("encrypt: message of %d bytes and receiveid of %d bytes; at most %d and %d fit",
			len(message), len(receiveID), MaxMessage, maxReceiveID)
	}
	if random == nil {
		random = rand.Reader
	}
	size := headerSize + len(message) + len(receiveID)
	pad := padBlock - size%padBlock
	p := make([]byte, randomSize, size+pad)
	if _, err := io.ReadFull(random, p); err != nil {
		return nil, fmt.Errorf("encrypt: 16 random bytes: %w", err)
	}
	p = binary.BigEndian.AppendUint32(p, uint32(len(message)))
	p = append(p, message...)
	p = append(p, receiveID...)
	for range pad {
		p = append(p, byte(pad))
	}
	k := c.k()
	cipher.NewCBCEncrypter(k.block, k.iv[:]).CryptBlocks(p, p)
	return base64.StdEncoding.AppendEncode(nil, p), nil
}

// decrypt undoes Encrypt. What it refuses early is wrong with the ciphertext, which the sender knows anyway;
// what is wrong with the plaintext costs the same work whatever it is.
func (k *keys) decrypt(s *scratch, encrypt []byte) ([]byte, string, error) {
	p, err := decodeBase64(encrypt)
	if err != nil || len(p) == 0 || len(p)%padBlock != 0 {
		return nil, "", ErrMalformed
	}
	if cbc, ok := s.cbc.(interface{ SetIV([]byte) }); ok {
		cbc.SetIV(k.iv[:]) // not documented, but there since long: it saves a copy of the key schedule
	} else {
		s.cbc = cipher.NewCBCDecrypter(k.block, k.iv[:])
	}
	s.cbc.CryptBlocks(p, p)
	message, tail, good := parseFrame(p)
	receiveID, known := k.matchReceiveID(tail)
	if good&known != 1 {
		return nil, "", ErrMalformed
	}
	return message, receiveID, nil
}

// parseFrame cuts p, of which the length is a positive multiple of 32, in time that depends on its length alone.
// good is 1 or 0; if it is 0, message and receiveID are some part of p.
func parseFrame(p []byte) (message, receiveID []byte, good int) {
	n := len(p)
	last := p[n-1]
	pad := int(last)
	good = lessOrEq(1, uint64(pad)) & lessOrEq(uint64(pad), padBlock)
	for i := 1; i <= padBlock; i++ {
		outside := lessOrEq(uint64(pad)+1, uint64(i))
		good &= outside | subtle.ConstantTimeByteEq(p[n-i], last)
	}
	end := n - subtle.ConstantTimeSelect(good, pad, 0) // so never negative
	good &= lessOrEq(headerSize, uint64(end))
	end = subtle.ConstantTimeSelect(good, end, n)

	size := uint64(binary.BigEndian.Uint32(p[randomSize:]))
	good &= lessOrEq(headerSize+size, uint64(end))
	cut := headerSize + subtle.ConstantTimeSelect(good, int(size), 0)
	return p[headerSize:cut:cut], p[cut:end], good
}

// matchReceiveID compares tail with every receiveid that is allowed, and returns our own copy of it.
func (k *keys) matchReceiveID(tail []byte) (string, int) {
	if k.receiveIDs == nil {
		return string(tail), 1
	}
	found, at := 0, 0
	for i, id := range k.receiveIDs {
		same := subtle.ConstantTimeCompare(tail, []byte(id))
		found |= same
		at = subtle.ConstantTimeSelect(same, i, at)
	}
	return k.receiveIDs[at], found
}

// lessOrEq is 1 if x <= y and 0 if not, without a branch. Both must be below 1<<63.
func lessOrEq(x, y uint64) int { return int((y-x)>>63 ^ 1) }

// decodeBase64 accepts, beside what the platform writes, the URL-safe alphabet, missing padding and white space.
func decodeBase64(text []byte) ([]byte, error) {
	out := make([]byte, base64.RawStdEncoding.DecodedLen(len(text))) // without padding there is more in as many characters
	if n, err := base64.StdEncoding.Decode(out, text); err == nil {
		return out[:n], nil
	}
	clean := make([]byte, 0, len(text))
	for _, c := range text {
		switch c {
		case ' ', '\t', '\r', '\n':
		case '-':
			clean = append(clean, '+')
		case '_':
			clean = append(clean, '/')
		default:
			clean = append(clean, c)
		}
	}
	if len(clean)%4 == 0 { // only there does "=" complete a group of four
		clean = bytes.TrimSuffix(bytes.TrimSuffix(clean, []byte("=")), []byte("="))
	}
	n, err := base64.RawStdEncoding.Decode(out, clean)
	return out[:n], err
}
