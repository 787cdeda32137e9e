package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"strings"

	"github.com/kfbus/kfbus/internal/service"
)

// frame is what a ciphertext holds, taken apart step by step. kfcrypto does the same and never says how far it came, since
// whoever could ask it over the network could forge callbacks; this is for a person with the key in hand, and nobody else.
type frame struct {
	pad       int // 0: the padding is wrong
	whole     bool
	message   []byte
	receiveID string
}

// unbase64 accepts what kfcrypto accepts beside the standard form: the URL-safe alphabet, no padding, white space.
func unbase64(text string) ([]byte, error) {
	clean := strings.NewReplacer("-", "+", "_", "/", " ", "", "\t", "", "\r", "", "\n", "").Replace(text)
	if len(clean)%4 == 0 {
		clean = strings.TrimSuffix(strings.TrimSuffix(clean, "="), "=")
	}
	return base64.RawStdEncoding.DecodeString(clean)
}

// openFrame decrypts a ciphertext of whole blocks with a well-formed EncodingAESKey.
func openFrame(key service.Secret, sealed []byte) frame {
	raw, err := base64.StdEncoding.DecodeString(key.Reveal() + "=") // lenient about the two spare bits
	if err != nil || len(sealed) == 0 || len(sealed)%aes.BlockSize != 0 {
		return frame{}
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return frame{}
	}
	p := make([]byte, len(sealed))
	cipher.NewCBCDecrypter(block, raw[:aes.BlockSize]).CryptBlocks(p, sealed)
	pad := int(p[len(p)-1])
	if pad < 1 || pad > 32 || pad > len(p) || bytes.Count(p[len(p)-pad:], p[len(p)-1:]) != pad {
		return frame{}
	}
	p = p[:len(p)-pad]
	if len(p) < 20 || uint64(binary.BigEndian.Uint32(p[16:])) > uint64(len(p)-20) {
		return frame{pad: pad}
	}
	end := 20 + int(binary.BigEndian.Uint32(p[16:]))
	return frame{pad: pad, whole: true, message: p[20:end], receiveID: string(p[end:])}
}

// what says what a callback is, in the platform's words and without anything that somebody wrote.
func what(get func(string) string) (kind, account string) {
	switch msgType, info := get("MsgType"), get("InfoType"); {
	case strings.EqualFold(msgType, "event"):
		kind = "event " + clip(get("Event"))
	case msgType != "":
		kind = "message of type " + clip(msgType)
	case info != "":
		kind = "command " + clip(info) + " to a third-party app"
	default:
		kind = "callback without MsgType"
	}
	if change := get("ChangeType"); change != "" {
		kind += "." + clip(change)
	}
	return kind, clip(get("OpenKfId"))
}
