package main

import (
	"bytes"
	"net/url"
	"slices"
	"strings"

	"github.com/kfbus/kfbus/services/ingress"
)

// mutations are what happens to Encrypt or echostr on its way: undone, the signature fits again.
var mutations = [...]struct {
	cause, do string
	mend      func(string) string
}{
	{"a + became a space", "something on the way decodes the value as a form; let the proxy pass query and body through as they are",
		func(s string) string { return strings.ReplaceAll(s, " ", "+") }},
	{"it is still URL-encoded: encoded twice, or decoded once too few", "look for a proxy that encodes the query again",
		func(s string) string {
			if u, err := url.PathUnescape(s); err == nil { // a + stays a +
				return u
			}
			return s
		}},
	{"white space or line breaks came into it", "let the proxy pass the body through as it is; if it was copied from a log, copy it without the breaks",
		func(s string) string { return strings.Join(strings.Fields(s), "") }},
	{"the = at its end are missing", "something on the way takes them for part of the query or trims them; let it pass the value through as it is", pad},
	{"it became URL-safe base64: + and / were replaced by - and _", "let the proxy pass query and body through as they are",
		func(s string) string { return pad(strings.NewReplacer("-", "+", "_", "/").Replace(s)) }},
}

// pad adds the = that base64 wants.
func pad(s string) string {
	s = strings.TrimRight(s, "=")
	return s + strings.Repeat("=", (4-len(s)%4)%4)
}

// envelopes are bodies that kfcrypto.ScanEnvelope refuses, most telling first.
var envelopes = [...]struct {
	is        func(body []byte) bool
	cause, do string
}{
	{func(b []byte) bool { return len(bytes.TrimSpace(b)) == 0 }, "the body is empty",
		"give the body too; if the ingress got it so, a proxy dropped it, perhaps with a redirect"},
	{has("\ufeff"), "a byte order mark stands before the envelope", "the platform sends none: look at what rewrites or re-encodes the body"},
	{func(b []byte) bool {
		return b[0] == '%' || bytes.HasPrefix(b, []byte("Encrypt=")) || bytes.HasPrefix(b, []byte("encrypt="))
	},
		"the body is a form, not XML or JSON", "let the proxy pass the body through as it is"},
	{has("&lt;"), "the body is escaped for HTML: it begins with &lt;", "copy it from the raw request, not from a page or a log"},
	{func(b []byte) bool { return b[0] == '"' }, "the body is a JSON string around the envelope", "somebody encodes the body again; let the proxy pass it through as it is"},
	{func(b []byte) bool { return b[0] != '<' && b[0] != '{' }, "the body is neither XML nor JSON: it begins with neither < nor {",
		"this is not the platform, or something rewrites the body"},
	{func(b []byte) bool { return plainDocument(b) }, "the body is plaintext: a callback without encryption",
		"only encrypted callbacks are taken: choose 安全模式 in the console, or do not point a test program at the real door"},
	{func(b []byte) bool { return cut(b) }, "the body is cut short: its end is missing", "copy it whole; if the ingress got it so, look for a proxy that limits bodies"},
	{contains("<!DOCTYPE", "<!ENTITY"), "the envelope has a DOCTYPE or an entity", "this is an attack or a test, never the platform"},
	{func(b []byte) bool { return count(b, "encrypt") > 1 }, "Encrypt stands twice in the envelope", "this is an attack or a test, never the platform"},
	{func(b []byte) bool { return count(b, "encrypt") == 0 }, "there is no Encrypt in the envelope", "this is not a callback of the platform"},
}

// envelopeFault names what is wrong with a body that has no good envelope.
func envelopeFault(body []byte) *fault {
	for _, e := range envelopes {
		if e.is(bytes.TrimLeft(body, " \t\r\n")) {
			return &fault{e.cause, e.do}
		}
	}
	return &fault{"the envelope is not as the platform writes it: entities, comments, attributes, nesting, escapes, more than one document, or characters that are no UTF-8",
		"compare it with <xml><ToUserName>…</ToUserName><AgentID>…</AgentID><Encrypt>…</Encrypt></xml> or {\"tousername\":…,\"encrypt\":…,\"agentid\":…}"}
}

func has(prefix string) func([]byte) bool {
	return func(b []byte) bool { return bytes.HasPrefix(b, []byte(prefix)) }
}

func contains(texts ...string) func([]byte) bool {
	return func(b []byte) bool {
		return slices.ContainsFunc(texts, func(s string) bool { return bytes.Contains(b, []byte(s)) })
	}
}

// count says how often a name stands in an envelope, as an element or as a key, in any case.
func count(body []byte, name string) int {
	b := bytes.ToLower(body)
	return bytes.Count(b, []byte("<"+name+">")) + bytes.Count(b, []byte(`"`+name+`"`))
}

func plainDocument(b []byte) bool {
	get, err := ingress.Read(b)
	return err == nil && get("Encrypt") == "" && (get("MsgType") != "" || get("InfoType") != "")
}

func cut(b []byte) bool {
	b = bytes.TrimRight(b, " \t\r\n")
	return b[0] == '<' && !bytes.HasSuffix(b, []byte(">")) || b[0] == '<' && !bytes.Contains(b, []byte("</xml>")) ||
		b[0] == '{' && !bytes.HasSuffix(b, []byte("}"))
}
