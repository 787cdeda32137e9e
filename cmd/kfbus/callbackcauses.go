package main

import (
	"bytes"
	"fmt"
	"net/url"
	"slices"
	"strings"
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
	o := outlineOf(b)
	return o != nil && o["encrypt"] == "" && (o["msgtype"] != "" || o["infotype"] != "")
}

func cut(b []byte) bool {
	b = bytes.TrimRight(b, " \t\r\n")
	return b[0] == '<' && !bytes.HasSuffix(b, []byte(">")) || b[0] == '<' && !bytes.Contains(b, []byte("</xml>")) ||
		b[0] == '{' && !bytes.HasSuffix(b, []byte("}"))
}

// parameters wants what the ingress wants: each of its own once, and nothing beside them.
func (x *exam) parameters() *fault {
	want := []string{"msg_signature", "timestamp", "nonce"}
	if x.method == "GET" {
		want = append(want, "echostr")
	}
	const proxy = "compare the URL in the console with what arrives: a query of its own, or a proxy that adds or rewrites"
	if strings.Contains(x.query, "&amp;") {
		return &fault{"the URL is escaped for HTML: &amp; stands where & should", "copy it from the raw request, not from a page"}
	}
	q, err := url.ParseQuery(x.query)
	if err != nil {
		return &fault{"the query has a % or ; that means nothing: it was cut or rewritten", proxy}
	}
	var missing, twice, extra []string
	for _, name := range want {
		switch len(q[name]) {
		case 0:
			missing = append(missing, name)
		case 1:
		default:
			twice = append(twice, name)
		}
	}
	for name := range q {
		if !slices.Contains(want, name) {
			extra = append(extra, clip(name))
		}
	}
	slices.Sort(extra)
	switch {
	case q.Has("signature") && !q.Has("msg_signature"):
		return &fault{"it has signature and no msg_signature: that is an official account (公众号) without encryption", "another product points at this URL; give it its own"}
	case q.Has("echostr") && x.method == "POST":
		return &fault{"a POST has an echostr: the console's check is a GET", "send it as GET and without a body"}
	case len(missing) > 0 && len(q) == 1 && q.Has("msg_signature"):
		return &fault{"only msg_signature is left of the query", "put the URL in quotes: the shell ends a command at &"}
	case len(missing) > 0:
		return &fault{"missing: " + strings.Join(missing, ", "), proxy}
	case len(twice) > 0:
		return &fault{"more than once: " + strings.Join(twice, ", "), proxy}
	case len(extra) > 0:
		return &fault{"not of the platform: " + strings.Join(extra, ", "), proxy}
	}
	x.p = params{q.Get("msg_signature"), q.Get("timestamp"), q.Get("nonce"), q.Get("echostr")}
	return x.p.fault()
}

// fault holds each parameter to its own characters.
func (p params) fault() *fault {
	const tampered = "the platform writes it otherwise: look at what rewrites the query, or at the program that made it"
	digits := func(r rune) bool { return r < '0' || r > '9' }
	switch {
	case len(p.signature) == 40 && p.signature != strings.ToLower(p.signature):
		return &fault{"msg_signature is in capitals", tampered}
	case len(p.signature) != 40 || strings.Trim(p.signature, "0123456789abcdef") != "":
		return &fault{fmt.Sprintf("msg_signature has %d characters, or others than 40 digits and a to f", len(p.signature)), tampered}
	case strings.IndexFunc(p.timestamp, digits) >= 0 || len(p.timestamp) != 10 && len(p.timestamp) != 13:
		return &fault{"timestamp is not 10 digits, the seconds since 1970", tampered}
	case len(p.timestamp) == 13:
		return &fault{"timestamp is in milliseconds", tampered}
	case p.nonce == "" || len(p.nonce) > 32 || strings.IndexFunc(p.nonce, func(r rune) bool { return notAlnum(r) && r != '_' && r != '-' }) >= 0:
		return &fault{"nonce is empty, longer than 32 characters, or has others than letters, digits, _ and -", tampered}
	case len(p.echostr) > 1024:
		return &fault{"echostr is longer than 1024 characters: it is no echo", tampered}
	}
	return nil
}
