package sender

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	textBytes = 2048 // of one text message, the platform's limit
	textParts = 5    // of one window
)

// splitText cuts a text into as few parts of at most most bytes as there can be, each as late as possible: behind the end of a
// sentence, else behind a comma or a space, else between two characters. Together the parts are the text, to the byte. A part
// in doubt is repeated by whoever takes it up: where the cuts are must never change for the same text.
func splitText(text string, most int) (parts []string) {
	for left := fewest(text, most); left > 1; left-- {
		n := cutAt(text, most, left-1)
		parts, text = append(parts, text[:n]), text[n:]
	}
	return append(parts, text)
}

// fewest is how many parts there must be.
func fewest(text string, most int) (n int) {
	for n = 1; len(text) > most; n++ {
		text = text[hardCut(text, most):]
	}
	return n
}

// hardCut is the last place between two characters, or where one is longer than a part, between two runes.
func hardCut(text string, most int) int {
	for i := most; i > 0; i-- {
		if between(text, i) {
			return i
		}
	}
	i := most
	for i > 1 && !utf8.RuneStart(text[i]) {
		i--
	}
	return i
}

// cutAt is the best place to cut at which leaves no more than rest parts.
func cutAt(text string, most, rest int) int {
	hard := hardCut(text, most)
	comma := 0
	for i := hard; i > 0; i-- {
		if !between(text, i) {
			continue
		}
		p := pause(text, i)
		switch {
		case p == 0:
		case fewest(text[i:], most) > rest: // and so with every place before it
			i = 0
		case p == 2:
			return i
		default:
			comma = max(comma, i)
		}
	}
	if comma > 0 {
		return comma
	}
	return hard
}

// pause is how much of one there is before text[i:]: 2 the end of a sentence or line, 1 a comma or a space, 0 none.
func pause(text string, i int) int {
	head, next := text[:i], rune(' ')
	if i < len(text) {
		next, _ = utf8.DecodeRuneInString(text[i:])
	}
	if strings.HasSuffix(head, "\n") && next != '\n' {
		return 2
	}
	spaced := strings.TrimRightFunc(head, unicode.IsSpace)
	if len(spaced) == len(head) && strings.ContainsRune("”’」』）)\"'", next) || unicode.IsSpace(next) {
		return 0 // it belongs to what is before
	}
	closed := strings.TrimRight(spaced, "”’」』）)\"'")
	last, _ := utf8.DecodeLastRuneInString(closed)
	switch {
	case strings.ContainsRune("。！？；…", last):
		return 2
	case strings.ContainsRune(".!?;", last) && len(spaced) < len(head):
		return 2
	case strings.ContainsRune("，、：", last), len(spaced) < len(head):
		return 1
	}
	return 0
}

// between reports whether text may be cut at i: not inside a rune, nor inside what is shown as one character.
func between(text string, i int) bool {
	if i <= 0 || i >= len(text) {
		return true
	}
	if !utf8.RuneStart(text[i]) {
		return false
	}
	next, _ := utf8.DecodeRuneInString(text[i:])
	last, _ := utf8.DecodeLastRuneInString(text[:i])
	const joiner = '\u200d'
	switch {
	case last == '\r' && next == '\n', last == joiner, next == joiner, unicode.Is(unicode.M, next), unicode.Is(unicode.Variation_Selector, next):
		return false
	case next >= 0x1f3fb && next <= 0x1f3ff: // the colour of a skin
		return false
	case flagHalf(last) && flagHalf(next):
		n := 0
		for head := text[:i]; ; n++ {
			r, size := utf8.DecodeLastRuneInString(head)
			if !flagHalf(r) {
				break
			}
			head = head[:len(head)-size]
		}
		return n%2 == 0
	}
	return true
}

// flagHalf: two of these letters are a flag.
func flagHalf(r rune) bool { return r >= 0x1f1e6 && r <= 0x1f1ff }
