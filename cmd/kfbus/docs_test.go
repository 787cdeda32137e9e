package main

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/services/sender/api"
)

var update = flag.Bool("update", false, "write generated parts of documents again")

// TestGeneratedTables holds the tables of variables in the documents to the
// configuration structs.
func TestGeneratedTables(t *testing.T) {
	tables := map[string][]any{
		"shared":      {&settings{}, &corpEnv{}},
		"topology":    {&topologyConfig{}},
		"ingress":     {&ingressEnv{}, &doorEnv{}},
		"syncer":      {&syncerEnv{}, &readerEnv{}},
		"sender":      {&senderEnv{}, &readerEnv{}},
		"tokenkeeper": {&tokenkeeperEnv{}, &singleEnv{}},
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

// generated holds every table between <!-- mark: name --> and <!-- end --> of a document to what it should be.
func generated(t *testing.T, path, mark string, tables map[string]string) {
	t.Helper()
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	marked := regexp.MustCompile(`(?s)<!-- ` + mark + `: ([\w-]+) -->\n(?:.*?<!-- end -->\n)?`)
	now := marked.ReplaceAllFunc(old, func(m []byte) []byte {
		name := string(marked.FindSubmatch(m)[1])
		found[name] = true
		if tables[name] == "" {
			t.Errorf("%s: no table is called %s", path, name)
		}
		return []byte("<!-- " + mark + ": " + name + " -->\n" + tables[name] + "<!-- end -->\n")
	})
	for name := range tables {
		if !found[name] {
			t.Errorf("%s has no table %s", path, name)
		}
	}
	switch {
	case bytes.Equal(old, now):
	case !*update:
		t.Errorf("%s is stale; run make golden", path)
	default:
		if err := os.WriteFile(path, now, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// TestGeneratedCalls: docs/features.md has a line for each call, with the method that makes it.
func TestGeneratedCalls(t *testing.T) {
	served := map[string]bool{}
	for _, e := range api.Calls() {
		served[e.Path] = true
	}
	var b strings.Builder
	b.WriteString("| call | | Go | over NATS |\n|---|---|---|---|\n")
	for _, e := range kfapi.Endpoints() {
		method := goName(e.Path)
		if _, there := reflect.TypeFor[*kfapi.Client]().MethodByName(method); !there {
			t.Errorf("%s: the client has no method %s", e.Path, method)
		}
		name := strings.ReplaceAll(strings.TrimPrefix(e.Path, "kf/"), "/", ".")
		over := "`kf.api.<corp>." + name + "`"
		switch {
		case e.Path == "kf/send_msg":
			over = "the command `send`"
		case e.Path == "kf/send_msg_on_event":
			over = "the command `reply`"
		case e.Path == "kf/recall_msg":
			over = "the command `recall`"
		case e.Style == kfapi.StyleCredential:
			over = "no secret passes the bus: `kf_tokens`"
		case !served[e.Path]:
			t.Errorf("%s is served nowhere", e.Path)
		}
		fmt.Fprintf(&b, "| `/cgi-bin/%s` | %s | `%s` | %s |\n", e.Path, e.Method, method, over)
	}
	generated(t, "../../docs/features.md", "table", map[string]string{"calls": b.String()})
}

// goName is the method of a path: "kf/account/add" is AccountAdd.
func goName(path string) string {
	switch path {
	case "gettoken":
		return "GetToken"
	case "getcallbackip":
		return "GetCallbackIP"
	case "token":
		return "OfficialToken"
	}
	var b strings.Builder
	for _, word := range strings.FieldsFunc(strings.TrimPrefix(path, "kf/"), func(r rune) bool { return r == '/' || r == '_' }) {
		switch word {
		case "api", "ip", "url", "jssdk":
			word = strings.ToUpper(word)
		case "kfid":
			word = "KfID"
		case "batchget":
			word = "BatchGet"
		case "uploadimg":
			word = "UploadImg"
		case "idconvert":
			word = "IDConvert"
		case "groupchat":
			word = "GroupChat"
		}
		b.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return b.String()
}
