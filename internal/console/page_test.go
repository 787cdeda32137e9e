package console

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

func asset(t *testing.T, name string) string {
	t.Helper()
	b, err := assets.ReadFile("assets/" + name)
	must(t, err)
	return string(b)
}

// all returns what the group of a pattern matches.
func all(pattern, text string) []string {
	var out []string
	for _, m := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	return out
}

func TestPageIsWhole(t *testing.T) {
	html, js, css := asset(t, "index.html"), asset(t, "app.js"), asset(t, "style.css")

	ids := all(`\sid="([^"]+)"`, html)
	for i, id := range ids {
		if slices.Contains(ids[:i], id) {
			t.Errorf("id %s stands there twice", id)
		}
	}
	for _, id := range slices.Concat(all(`\$\('([^']+)'\)`, js), all(`\sfor="([^"]+)"`, html), all(`aria-labelledby="([^"]+)"`, html)) {
		if !slices.Contains(ids, id) {
			t.Errorf("nothing has the id %s", id)
		}
	}

	// Each word that is asked for exists, in both languages, and each is asked for.
	words := js[strings.Index(js, "const words = {"):strings.Index(js, "\n};")]
	defined := all(`(?:^|[\s{,])'?([\w.]+)'?: \[`, words)
	asked := slices.Concat(all(`data-t(?:-label|-title|-placeholder)?="([^"]+)"`, html), all(`\bt\('([^']+)'`, js),
		all(`copyButton\('([^']+)'`, js), all(`link\('([^']+)'\)`, js))
	for _, key := range asked {
		if !slices.Contains(defined, key) && !strings.HasSuffix(key, ".") && key != "state" {
			t.Errorf("the word %q is asked for and not there", key)
		}
	}
	for _, kind := range []string{"callback", "app", "message", "event", "history", "cursor", "command", "outcome", "dead", "api", "token",
		stepCallback, stepPage, stepCall, stepPlatform, stepOther} {
		if !slices.Contains(defined, "kind."+kind) {
			t.Errorf("there is no word for the kind %s", kind)
		}
	}
	both := regexp.MustCompile(`: \[\s*(?:'[^']+'),\s*(?:'[^']+')\]`)
	if got, want := len(both.FindAllString(words, -1)), len(defined); got != want || want < 60 {
		t.Errorf("%d of %d words have two languages", got, want)
	}

	// Every field has a label, every button says its type.
	for _, field := range all(`<(?:input|select|textarea)[^>]*id="([^"]+)"`, html) {
		wrapped := regexp.MustCompile(`<label[^>]*>\s*<input[^>]*id="` + field + `"`).MatchString(html)
		if !wrapped && !strings.Contains(html, `for="`+field+`"`) {
			t.Errorf("field %s has no label", field)
		}
	}
	for _, b := range all(`(<button[^>]*>)`, html) {
		if !strings.Contains(b, `type="`) {
			t.Errorf("%s does not say its type", b)
		}
	}
	for _, tag := range []string{`lang="en"`, `name="viewport"`, `<title>`, `<noscript>`, `<main>`, `<h1>`} {
		if !strings.Contains(html, tag) {
			t.Errorf("the page has no %s", tag)
		}
	}

	// What the policy forbids is not there, and nothing is fetched from elsewhere.
	for what, pattern := range map[string]string{
		"an inline handler":   `<[^>]*\son\w+=`,
		"an inline style":     `<[^>]*\sstyle=`,
		"an inline script":    `<script[^>]*>[^<]`,
		"a style element":     `<style`,
		"a foreign address":   `(?:src|href)="(?:https?:)?//`,
		"a style from abroad": `url\(|@import`,
	} {
		if found := regexp.MustCompile(pattern).FindString(html + css); found != "" {
			t.Errorf("%s: %s", what, found)
		}
	}
	// What others wrote is put in as text: there is no way into markup or code.
	for _, way := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "DOMParser", "eval(", "new Function", "setHTML", "createContextualFragment", "srcdoc"} {
		if strings.Contains(js, way) {
			t.Errorf("app.js uses %s", way)
		}
	}
	if n := strings.Count(js, "\n"); n >= 500 {
		t.Errorf("app.js has %d lines; that is the size at which a page wants to be split", n)
	}
}
