package kfapi

// page is a decoded sync_msg answer.
type page struct {
	head
	next    string
	hasMore bool
	items   []Item
}

type pageReader struct {
	scanner
	kfid string // the last one read; nearly all are the same string
}

// Duplicates of these keys are refused: a page is what moves a cursor.
const (
	sawErrcode = 1 << iota
	sawErrmsg
	sawCursor
	sawMore
	sawList
)

// readPage splits a sync_msg answer into its items. why is empty if body is one JSON object with an integer errcode and,
// when that is 0, has_more of 0 or 1 (or a boolean) and an msg_list that is an array, null or absent. Items may be bad,
// each for itself.
func readPage(body []byte) (pg page, why string) {
	p := pageReader{scanner: scanner{b: body}}
	if !p.take('{') {
		return pg, whyNotJSON
	}
	seen := 0
	for first := true; ; first = false {
		key, more, ok := p.member(first)
		if !ok {
			return pg, whyNotJSON
		}
		if !more {
			break
		}
		mark, why := p.field(&pg, string(key))
		if mark&seen != 0 {
			return pg, "a key stands twice"
		}
		if why != "" {
			return pg, why
		}
		seen |= mark
	}
	switch {
	case p.peek() != 0 || p.i < len(body) || p.flaw != "":
		return pg, whyNotJSON
	case seen&sawErrcode == 0:
		return pg, whyNoCode
	case pg.code == 0 && seen&sawMore == 0:
		return pg, "has_more missing"
	}
	return pg, ""
}

func (p *pageReader) field(pg *page, key string) (mark int, why string) {
	switch key {
	case "errcode":
		pg.codes = 0
		if !p.errcode(&pg.head) || pg.codes != 1 {
			return 0, whyNoCode
		}
		return sawErrcode, ""
	case "errmsg":
		return sawErrmsg, frame(p.errmsg(&pg.head))
	case "next_cursor":
		fits, ok := p.readText(&pg.next)
		if ok && !fits {
			return 0, "next_cursor is not a string"
		}
		return sawCursor, frame(ok)
	case "has_more":
		word, ok := p.word()
		switch word {
		case "1", "true":
			pg.hasMore = true
		case "0", "false":
		default:
			return 0, "has_more is not 0 or 1"
		}
		return sawMore, frame(ok)
	case "msg_list":
		if p.peek() == '[' {
			return sawList, frame(p.list(pg))
		}
		if word, _ := p.word(); word != "null" {
			return 0, "msg_list is not an array"
		}
		return sawList, ""
	}
	return 0, frame(p.skip())
}

func frame(ok bool) string {
	if ok {
		return ""
	}
	return whyNotJSON
}

// word passes a value and returns it if it is a bare word.
func (p *pageReader) word() (string, bool) {
	switch p.peek() {
	case '"', '{', '[':
		return "", p.skip()
	}
	word, ok := p.bare()
	return string(word), ok
}

// list reads msg_list. Flaws belong to the items and do not reach the page.
func (p *pageReader) list(pg *page) bool {
	outside := p.flaw
	p.i++
	pg.items = make([]Item, 0, min(1000, len(p.b)/256+1))
	for first := true; ; first = false {
		more, ok := p.element(first)
		if !ok {
			return false
		}
		if !more {
			p.flaw = outside
			return true
		}
		it, ok := p.item()
		if !ok {
			return false
		}
		pg.items = append(pg.items, it)
	}
}
