package bus

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// Quote appends text to dst as a JSON string: as encoding/json writes it, but
// with <, > and & as they are, since people read these events.
func Quote[T []byte | string](dst []byte, text T) []byte {
	valid := false
	switch t := any(text).(type) { // neither is copied
	case string:
		valid = utf8.ValidString(t)
	case []byte:
		valid = utf8.Valid(t)
	}
	if !valid {
		return append(dst, quoteInvalid(string(text))...)
	}
	dst = append(dst, '"')
	done := 0
	for i := 0; i < len(text); i++ {
		for i+8 <= len(text) && !needsCare(word(text[i:i+8])) {
			i += 8
		}
		if i == len(text) {
			break
		}
		c := text[i]
		if c >= ' ' && c != '"' && c != '\\' && c != lineSeparator[0] {
			continue
		}
		if c == lineSeparator[0] && (text[i+1] != lineSeparator[1] || text[i+2]&^1 != lineSeparator[2]) { // it is valid: three bytes
			continue
		}
		dst = append(dst, text[done:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, `\b`...)
		case '\f':
			dst = append(dst, `\f`...)
		case '\n':
			dst = append(dst, `\n`...)
		case '\r':
			dst = append(dst, `\r`...)
		case '\t':
			dst = append(dst, `\t`...)
		case lineSeparator[0]:
			dst = append(dst, `\u202`...)
			dst = append(dst, '8'+text[i+2]&1)
			i += 2
		default:
			dst = append(dst, `\u00`...)
			dst = append(dst, '0'+c>>4, "0123456789abcdef"[c&15])
		}
		done = i + 1
	}
	return append(append(dst, text[done:]...), '"')
}

func word[T []byte | string](b T) uint64 {
	return uint64(b[0]) | uint64(b[1])<<8 | uint64(b[2])<<16 | uint64(b[3])<<24 | uint64(b[4])<<32 | uint64(b[5])<<40 | uint64(b[6])<<48 | uint64(b[7])<<56
}

// needsCare reports whether any of 8 bytes is a control character, a quote, a backslash, or the first of lineSeparator.
func needsCare(w uint64) bool {
	const ones, tops = 0x0101010101010101, 0x8080808080808080
	quote, slash, line := w^'"'*ones, w^'\\'*ones, w^uint64(lineSeparator[0])*ones // 0 where it is one
	return ((w-' '*ones)&^w|(quote-ones)&^quote|(slash-ones)&^slash|(line-ones)&^line)&tops != 0
}

// lineSeparator is U+2028; U+2029 differs in the last bit. JavaScript once took both for the end of a line.
const lineSeparator = "\u2028"

func quoteInvalid(s string) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		panic(err) // a string always encodes
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
