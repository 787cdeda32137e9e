package main

import (
	"encoding/json"
	"runtime/debug"
	"strings"
	"testing"
)

func TestBillNamesWhatIsLinked(t *testing.T) {
	info := &debug.BuildInfo{GoVersion: "go1.26.8", Main: debug.Module{Path: "example.com/main"}, Deps: []*debug.Module{
		{Path: "example.com/a", Version: "v1.2.0", Sum: "h1:abc="},
		{Path: "example.com/b", Version: "v0.1.0", Replace: &debug.Module{Path: "example.com/fork", Version: "v2.0.0+incompatible"}},
	}}
	b := bill(info, "v9")
	var got []string
	for _, c := range b.Components {
		got = append(got, c.PURL)
	}
	want := "pkg:golang/stdlib@go1.26.8 pkg:golang/example.com/a@v1.2.0 pkg:golang/example.com/fork@v2.0.0+incompatible"
	if s := strings.Join(got, " "); s != want {
		t.Errorf("components: got %s, want %s", s, want)
	}
	if d := b.Dependencies[0]; d.Ref != "pkg:golang/example.com/main@v9" || len(d.DependsOn) != 3 {
		t.Errorf("dependencies: got %+v, want the main module on three", d)
	}
	if p := b.Components[1].Properties; len(p) != 1 || p[0].Value != "h1:abc=" {
		t.Errorf("the checksum of a: got %v, want h1:abc=", p)
	}
}

func TestSBOMIsJSONAndRepeats(t *testing.T) {
	code, one, errs := kfbus(t, "sbom")
	_, two, _ := kfbus(t, "sbom")
	if code != 0 || !json.Valid([]byte(one)) || one != two {
		t.Fatalf("code %d, valid %v, the same twice %v: %s", code, json.Valid([]byte(one)), one == two, errs)
	}
	if !strings.Contains(one, "pkg:golang/github.com/nats-io/nats.go@v1.") {
		t.Errorf("the NATS client is not in it:\n%s", one)
	}
}
