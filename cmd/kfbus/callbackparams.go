package main

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/kfbus/kfbus/services/ingress"
)

// params are the platform's query.
type params struct{ signature, timestamp, nonce, echostr string }

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
	if f := x.p.fault(); f != nil {
		return f
	}
	if !ingress.PlainQuery(x.query, x.method == "GET") {
		return &fault{"the query is not as the platform writes it: an empty part between two &, or an escape where none is needed", proxy}
	}
	return nil
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
