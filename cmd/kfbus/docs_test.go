package main

import (
	"bytes"
	"flag"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
)

var update = flag.Bool("update", false, "write generated parts of documents again")

// TestGeneratedTables holds the tables of variables in the documents to the
// configuration structs.
func TestGeneratedTables(t *testing.T) {
	tables := map[string][]any{
		"shared":      {&settings{}},
		"topology":    {&topologyConfig{}},
		"ingress":     {&ingressEnv{}},
		"syncer":      {&syncerEnv{}},
		"sender":      {&senderEnv{}},
		"tokenkeeper": {&tokenkeeperEnv{}},
	}
	found := map[string]bool{}
	for _, path := range []string{"README.md", "README.zh-CN.md", "docs/operations.md", "services/ingress/README.md",
		"services/syncer/README.md", "services/sender/README.md", "services/tokenkeeper/README.md"} {
		old, err := os.ReadFile("../../" + path)
		if err != nil {
			t.Error(err)
			continue
		}
		now := fill(t, old, tables, found)
		if bytes.Equal(old, now) {
			continue
		}
		if !*update {
			t.Errorf("%s: a table of variables is stale; run make golden", path)
			continue
		}
		if err := os.WriteFile("../../"+path, now, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for name := range tables {
		if !found[name] {
			t.Errorf("no document has the table of %s", name)
		}
	}
}

var tableMark = regexp.MustCompile(`(?s)<!-- env: (\w+) -->\n(?:.*?<!-- end -->\n)?`)

func fill(t *testing.T, doc []byte, tables map[string][]any, found map[string]bool) []byte {
	t.Helper()
	return tableMark.ReplaceAllFunc(doc, func(m []byte) []byte {
		name := string(tableMark.FindSubmatch(m)[1])
		cfgs, ok := tables[name]
		if !ok {
			t.Errorf("no table is called %s", name)
			return m
		}
		found[name] = true
		var b strings.Builder
		if err := service.UsageMarkdown(&b, "KF", cfgs...); err != nil {
			t.Fatal(err)
		}
		return []byte("<!-- env: " + name + " -->\n" + b.String() + "<!-- end -->\n")
	})
}

// TestToolsConnectionIsTheServices keeps `connection` on the variables of the
// services.
func TestToolsConnectionIsTheServices(t *testing.T) {
	vars, err := service.Variables("KF", &struct{ NATS bus.Config }{})
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, v := range vars {
		names = append(names, v.Name)
	}
	if got, want := strings.Join(names, " "), "KF_NATS_URL KF_NATS_NKEY_FILE KF_NATS_CREDS_FILE KF_NATS_CA_FILE KF_NATS_CERT_FILE KF_NATS_KEY_FILE KF_NATS_INBOX_PREFIX KF_NATS_TIMEOUT"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
