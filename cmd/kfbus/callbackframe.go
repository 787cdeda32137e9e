package main

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"unicode/utf8"

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

// outline is the top of a decrypted callback: its elements by name in lower case, the first of each.
type outline map[string]string

// outlineOf reads XML or JSON; nil for anything else.
func outlineOf(plain []byte) outline {
	plain = bytes.TrimSpace(plain)
	switch {
	case !utf8.Valid(plain) || len(plain) == 0:
		return nil
	case plain[0] == '{':
		return outlineOfJSON(plain)
	case plain[0] == '<':
		return outlineOfXML(plain)
	}
	return nil
}

func outlineOfJSON(plain []byte) outline {
	var fields map[string]json.RawMessage
	if json.Unmarshal(plain, &fields) != nil {
		return nil
	}
	o := outline{}
	for name, value := range fields {
		text := string(value)
		if json.Unmarshal(value, &text) != nil {
			text = string(value)
		}
		o[strings.ToLower(name)] = strings.TrimSpace(text)
	}
	return o
}

func outlineOfXML(plain []byte) outline {
	o, depth, name := outline{}, 0, ""
	seen := false
	for dec := xml.NewDecoder(bytes.NewReader(plain)); ; {
		token, err := dec.Token()
		if errors.Is(err, io.EOF) && depth == 0 && seen {
			return o
		}
		if err != nil {
			return nil
		}
		switch t := token.(type) {
		case xml.StartElement:
			if depth++; depth == 2 {
				name = strings.ToLower(t.Name.Local)
				if _, twice := o[name]; twice {
					name = ""
				} else {
					o[name] = ""
				}
			}
			seen = true
		case xml.EndElement:
			if depth--; depth == 1 && name != "" {
				o[name], name = strings.TrimSpace(o[name]), ""
			}
		case xml.CharData:
			if depth == 2 && name != "" {
				o[name] += string(t)
			}
		}
	}
}

// what says what a callback is, in the platform's words and without anything that somebody wrote.
func (o outline) what() (kind, account string) {
	switch msgType := o["msgtype"]; {
	case msgType == "event":
		kind = "event " + clip(o["event"])
	case msgType != "":
		kind = "message of type " + clip(msgType)
	case o["infotype"] != "":
		kind = "command " + clip(o["infotype"]) + " to a third-party app"
	default:
		kind = "callback without MsgType"
	}
	if change := o["changetype"]; change != "" {
		kind += "." + clip(change)
	}
	return kind, clip(o["openkfid"])
}
