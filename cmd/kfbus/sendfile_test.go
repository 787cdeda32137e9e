package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kfbus/kfbus/pkg/events"
)

func TestAttached(t *testing.T) {
	dir := t.TempDir()
	small, large := filepath.Join(dir, "a.png"), filepath.Join(dir, "b.png")
	if err := os.WriteFile(small, []byte("PNG"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(large, make([]byte, events.MaxCommandFile+1), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		a         attached
		m         message
		body, err string
	}{
		{"nothing", attached{}, message{msgType: "text"}, "", ""},
		{"a file", attached{path: small}, message{msgType: "image"}, `{"data":"UE5H","filename":"a.png"}`, ""},
		{"an object", attached{object: "o"}, message{msgType: "voice"}, `{"object":"o"}`, ""},
		{"an object of a bucket", attached{object: "o", bucket: "b"}, message{msgType: "file"}, `{"bucket":"b","object":"o"}`, ""},
		{"too large", attached{path: large}, message{msgType: "image"}, "", "--object"},
		{"no such file", attached{path: dir + "/x"}, message{msgType: "image"}, "", "--file"},
		{"both", attached{path: small, object: "o"}, message{msgType: "image"}, "", "one of"},
		{"and a body", attached{path: small}, message{msgType: "image", body: "{}"}, "", "one of"},
		{"a text", attached{path: small}, message{msgType: "text"}, "", "--type"},
		{"a bucket alone", attached{bucket: "b"}, message{msgType: "image"}, "", "--object"},
	} {
		err := c.a.into(&c.m)
		if (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) || err == nil && c.m.body != c.body {
			t.Errorf("%s: got %q, %v, want %q, %q", c.name, c.m.body, err, c.body, c.err)
		}
	}
}
