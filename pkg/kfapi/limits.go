package kfapi

import (
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of the platform, in bytes of UTF-8 unless said otherwise.
const (
	maxMsgID    = 32
	maxID       = 64 // open_kfid, external_userid, userid
	maxMediaID  = 128
	maxText     = 2048
	maxMenuList = 10 // items
)

// checkBody checks the body of a message against what the platform documents for its type. Fields that are not named
// here pass: the platform may know them one day.
func checkBody(msgtype string, raw []byte) error {
	o, why := parseTree(raw)
	if why != "" {
		return &LimitError{Field: msgtype, Why: why}
	}
	return checkFields(msgtype, o)
}

func known(msgtype string) bool {
	switch msgtype {
	case "text", "image", "voice", "video", "file", "link", "miniprogram", "msgmenu", "location", "business_card", "ca_link":
		return true
	}
	return false
}

func checkFields(msgtype string, body object) error {
	f := fields{msgtype, body}
	switch msgtype {
	case "text":
		return f.text("content", 1, maxText)
	case "image", "voice", "video", "file":
		return f.text("media_id", 1, maxMediaID)
	case "link":
		return first(f.text("title", 1, 128), f.text("desc", 0, 512), f.text("url", 1, 2048), f.scheme("url"),
			f.text("thumb_media_id", 1, maxMediaID))
	case "miniprogram":
		return first(f.text("appid", 1, 0), f.text("title", 0, 64), f.text("thumb_media_id", 1, maxMediaID),
			f.text("pagepath", 1, 0))
	case "location":
		return first(f.degrees("latitude", 90), f.degrees("longitude", 180), f.text("name", 0, 0), f.text("address", 0, 0))
	case "business_card":
		return f.text("userid", 1, maxID)
	case "ca_link":
		return first(f.text("link_url", 1, 0), f.scheme("link_url"))
	case "msgmenu":
		return f.menu()
	}
	return unknownType()
}

func unknownType() error {
	return &LimitError{Field: "msgtype", Why: "must be text, image, voice, video, file, link, miniprogram, msgmenu, location, business_card or ca_link"}
}

func (f fields) menu() error {
	if err := first(f.text("head_content", 0, 1024), f.text("tail_content", 0, 1024)); err != nil {
		return err
	}
	value, ok := f.values["list"]
	if !ok {
		return nil
	}
	list, ok := value.([]any)
	if !ok {
		return f.wrong("list", "must be an array")
	}
	if len(list) > maxMenuList {
		return &LimitError{Field: f.path + ".list", Limit: maxMenuList, Got: len(list),
			Why: fmt.Sprintf("has %d items, at most %d are allowed", len(list), maxMenuList)}
	}
	for i, value := range list {
		path := fmt.Sprintf("%s.list[%d]", f.path, i)
		item, ok := value.(object)
		if !ok {
			return &LimitError{Field: path, Why: "must be an object"}
		}
		if err := (fields{path, item}).menuItem(); err != nil {
			return err
		}
	}
	return nil
}

func (f fields) menuItem() error {
	kind, _ := f.values["type"].(string)
	switch kind {
	case "click", "view", "miniprogram", "text":
	default:
		return f.wrong("type", "must be click, view, miniprogram or text")
	}
	body, ok := f.values[kind].(object)
	if !ok {
		return f.wrong(kind, "is missing or not an object")
	}
	in := fields{f.path + "." + kind, body}
	switch kind {
	case "click":
		return first(in.text("id", 0, 128), in.text("content", 1, 128))
	case "view":
		return first(in.text("url", 1, 2048), in.text("content", 1, 1024))
	case "miniprogram":
		return first(in.text("appid", 1, 32), in.text("pagepath", 1, 1024), in.text("content", 1, 1024))
	}
	return first(in.text("content", 1, 256), in.flag("no_newline"))
}

func first(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// fields checks the members of one object and names them by path.
type fields struct {
	path   string
	values object
}

func (f fields) wrong(name, why string) error {
	return &LimitError{Field: f.path + "." + name, Why: why}
}

// text wants a string of least to most bytes; with least 0 it may be missing, with most 0 it may be of any length.
func (f fields) text(name string, least, most int) error {
	value, ok := f.values[name]
	if !ok && least == 0 {
		return nil
	}
	s, ok := value.(string)
	if !ok {
		return f.wrong(name, "is missing or not a string")
	}
	return checkSize(f.path+"."+name, s, least, most)
}

func checkSize(field, s string, least, most int) error {
	switch {
	case len(s) < least:
		return &LimitError{Field: field, Why: "is empty"}
	case most > 0 && len(s) > most:
		return &LimitError{Field: field, Limit: most, Got: len(s),
			Why: fmt.Sprintf("is %d bytes, at most %d are allowed", len(s), most)}
	}
	return nil
}

// checkChars is checkSize in characters.
func checkChars(field, s string, least, most int) error {
	if n := utf8.RuneCountInString(s); n > most {
		return &LimitError{Field: field, Limit: most, Got: n,
			Why: fmt.Sprintf("is %d characters, at most %d are allowed", n, most)}
	}
	return checkSize(field, s, least, 0)
}

// checkCount checks the length of a list; with most 0 it may be of any length.
func checkCount(field string, n, least, most int) error {
	switch {
	case n < least:
		return &LimitError{Field: field, Limit: least, Got: n, Why: fmt.Sprintf("has %d elements, at least %d must be there", n, least)}
	case most > 0 && n > most:
		return &LimitError{Field: field, Limit: most, Got: n, Why: fmt.Sprintf("has %d elements, at most %d are allowed", n, most)}
	}
	return nil
}

func checkUpTo(field string, n, most int) error {
	if n < 0 || n > most {
		return &LimitError{Field: field, Limit: most, Got: n, Why: fmt.Sprintf("is %d, must be 0 to %d", n, most)}
	}
	return nil
}

// ifEmpty is name if s is empty.
func ifEmpty(s, name string) string {
	if s == "" {
		return name
	}
	return ""
}

func (f fields) scheme(name string) error {
	s, _ := f.values[name].(string)
	return checkScheme(f.path+"."+name, s)
}

func checkScheme(field, s string) error {
	s = strings.ToLower(s)
	if !strings.HasPrefix(s, "http://") && !strings.HasPrefix(s, "https://") {
		return &LimitError{Field: field, Why: "must start with http:// or https://"}
	}
	return nil
}

func (f fields) degrees(name string, most number) error {
	n, ok := f.values[name].(number)
	if !ok || n < -most || n > most {
		return f.wrong(name, fmt.Sprintf("must be a number from %v to %v", -most, most))
	}
	return nil
}

func (f fields) flag(name string) error {
	switch f.values[name] {
	case nil, number(0), number(1):
		return nil
	}
	return f.wrong(name, "must be 0 or 1")
}

func checkID(field, id string) error { return checkSize(field, id, 1, maxID) }

const (
	lower  = "abcdefghijklmnopqrstuvwxyz"
	upper  = "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits = "0123456789"
)

// only reports whether s has no other characters than those of set.
func only(s, set string) bool { return strings.Trim(s, set) == "" }

// checkMsgID takes "" for "the platform shall choose one".
func checkMsgID(id string) error {
	if len(id) > maxMsgID {
		return checkSize("msgid", id, 0, maxMsgID)
	}
	if !only(id, lower+upper+digits+"_-") {
		return &LimitError{Field: "msgid", Why: "must be of letters, digits, _ and -"}
	}
	return nil
}
