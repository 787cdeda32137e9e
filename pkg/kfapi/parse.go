package kfapi

import (
	"encoding/json"
	"fmt"
	"slices"
)

// parsed is a message that somebody wrote as JSON.
type parsed struct {
	msgtype string
	raw     json.RawMessage
}

func (p parsed) MsgType() string                { return p.msgtype }
func (p parsed) body() (json.RawMessage, error) { return p.raw, nil }

// ParseMessage reads a message in the platform's own words, {"msgtype":"text","text":{"content":"…"}}: the request of
// send_msg or send_msg_on_event without the addressing fields, which SendMsgRequest and SendMsgOnEventRequest hold. also
// names further top-level fields that are the caller's affair ("touser", "command_id") and are left out; any other one is
// refused, and so is a key that stands twice at any depth. Limits are checked. All else inside the body is kept as it was
// written, unknown fields, number formats and white space too, except that \uXXXX escapes, which the platform refuses
// (40033), become the characters they stand for. Errors are a *LimitError.
func ParseMessage(raw []byte, also ...string) (Message, error) {
	return parseMessage(raw, func(name string) bool { return slices.Contains(also, name) })
}

// readMessage reads a whole request: the message, and what stands beside it into address.
func readMessage(raw []byte, address any) (Message, error) {
	m, err := parseMessage(raw, func(string) bool { return true })
	if err != nil {
		return nil, err
	}
	return m, json.Unmarshal(raw, address)
}

func parseMessage(raw []byte, also func(name string) bool) (Message, error) {
	top, why := parseTree(raw)
	if why != "" {
		return nil, &LimitError{Field: "message", Why: why}
	}
	msgtype, ok := top["msgtype"].(string)
	if !ok {
		return nil, &LimitError{Field: "msgtype", Why: "is missing or not a string"}
	}
	if !known(msgtype) {
		return nil, unknownType()
	}
	for name := range top {
		if name != "msgtype" && name != msgtype && !also(name) {
			return nil, &LimitError{Field: fieldName(name), Why: fmt.Sprintf("is not a field of a %s message", msgtype)}
		}
	}
	body, ok := top[msgtype].(object)
	if !ok {
		return nil, &LimitError{Field: msgtype, Why: "is missing or not an object"}
	}
	if err := checkFields(msgtype, body); err != nil {
		return nil, err
	}
	return parsed{msgtype, plain(memberOf(raw, msgtype))}, nil
}

// memberOf cuts the value of a key that is known to be there out of an object that is known to be valid.
func memberOf(raw []byte, name string) []byte {
	s := scanner{b: raw}
	s.take('{')
	for first := true; ; first = false {
		key, more, ok := s.member(first)
		if !ok || !more {
			return nil
		}
		start := s.i
		s.skip()
		if string(key) == name {
			return slices.Clone(raw[start:s.i])
		}
	}
}

// fieldName keeps an unknown key out of an error unless it looks like a field: it is somebody's text.
func fieldName(name string) string {
	if name == "" || len(name) > 32 || !only(name, lower+digits+"_") {
		return "an unknown field"
	}
	return name
}
