package repotest

import (
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const module = "github.com/kfbus/kfbus/"

// file is one Go file and what it imports.
type file struct {
	path    string // from the repository's root, with slashes
	imports []string
}

func goFiles(t *testing.T) []file {
	t.Helper()
	var out []file
	err := filepath.WalkDir("../..", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && d.Name() != ".." || d.Name() == "tools" || d.Name() == "bin" || d.Name() == "data") {
			return filepath.SkipDir
		}
		if !strings.HasSuffix(p, ".go") {
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), p, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel("../..", p)
		if err != nil {
			return err
		}
		x := file{path: filepath.ToSlash(rel)}
		for _, i := range f.Imports {
			s, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			x.imports = append(x.imports, s)
		}
		out = append(out, x)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(out) < 50 {
		t.Fatalf("only %d Go files found: is this the repository?", len(out))
	}
	return out
}

// refusal says why a file may not import something; "" means that it may.
func refusal(path, imp string) string {
	test := strings.HasSuffix(path, "_test.go")
	own, ours := strings.CutPrefix(imp, module)
	top, rest, _ := strings.Cut(path, "/")
	name, _, _ := strings.Cut(rest, "/")
	switch {
	case imp == "github.com/rs/zerolog/log":
		return "the global logger: loggers are handed in"
	case imp == "time/tzdata", !ours && !strings.Contains(imp, "."):
		return ""
	case ours && strings.HasPrefix(own, "internal/testkit") && !test && !strings.HasPrefix(path, "internal/testkit/"):
		return "only tests import testkit"
	case ours && own == "internal/localnats" && top != "cmd" && !test && !strings.HasPrefix(path, "internal/testkit/") && !strings.HasPrefix(path, "internal/localnats/"):
		return "only cmd and testkit run a server"
	case top == "pkg" && ours && !strings.HasPrefix(own, "pkg/"):
		return "pkg is the public contract: it imports nothing of ours but pkg"
	case top == "pkg" && !ours:
		return pkgRefusal(name, imp, test)
	case top == "pkg" && strings.HasPrefix(path, "pkg/kfsim/") && own == "pkg/kfapi":
		return "the simulator must be able to disagree with the client"
	case top == "pkg" && strings.HasPrefix(path, "pkg/kfsim/") && own != "pkg/kfcrypto" && !strings.HasPrefix(own, "pkg/kfsim"):
		return "the simulator knows nothing of ours but the crypto"
	case top == "pkg" && (name == "kfapi" || name == "kfcrypto" || name == "events") && ours && !strings.HasPrefix(own, "pkg/"+name):
		return name + " stands alone"
	case top == "internal" && ours && (strings.HasPrefix(own, "services/") || strings.HasPrefix(own, "cmd/")):
		return "imports point down: internal knows no service"
	case top == "examples" && ours && !strings.HasPrefix(own, "pkg/"):
		return "an example is written as an outsider would: with pkg and a NATS client"
	case top == "services" && ours && strings.HasPrefix(own, "cmd/"):
		return "imports point down: a service knows no command"
	case top == "services" && ours && strings.HasPrefix(own, "services/") && !strings.HasPrefix(own, "services/"+name):
		return "one service never imports another"
	}
	return ""
}

// pkgRefusal: pkg/ knows no NATS client, no environment and no logger.
func pkgRefusal(name, imp string, test bool) string {
	switch {
	case name == "events" && imp == "github.com/cloudevents/sdk-go/v2/event":
		return ""
	case test && imp == "go.uber.org/goleak":
		return ""
	}
	return "pkg/" + name + " imports the standard library only"
}

func TestImportsPointDown(t *testing.T) {
	for _, f := range goFiles(t) {
		for _, imp := range f.imports {
			if why := refusal(f.path, imp); why != "" {
				t.Errorf("%s imports %s: %s", f.path, imp, why)
			}
		}
	}
}

// TestRefusal breaks the rules on purpose.
func TestRefusal(t *testing.T) {
	for _, c := range []struct {
		path, imp string
		ok        bool
	}{
		{"services/sender/a.go", module + "services/syncer", false},
		{"services/sender/a.go", module + "services/sender/window", true},
		{"services/sender/a.go", module + "internal/bus", true},
		{"services/sender/a.go", module + "internal/localnats", false},
		{"services/sender/a.go", module + "internal/testkit", false},
		{"services/sender/a_test.go", module + "internal/testkit", true},
		{"services/sender/a.go", "github.com/rs/zerolog/log", false},
		{"internal/bus/a.go", module + "services/sender", false},
		{"internal/bus/a.go", module + "pkg/events", true},
		{"cmd/kfbus/a.go", module + "services/sender", true},
		{"cmd/kfbus/a.go", module + "internal/localnats", true},
		{"examples/go/bot/main.go", module + "internal/bus", false},
		{"examples/go/bot/main.go", module + "pkg/events", true},
		{"pkg/kfapi/a.go", "github.com/nats-io/nats.go", false},
		{"pkg/kfapi/a.go", "github.com/rs/zerolog", false},
		{"pkg/kfapi/a.go", module + "internal/bus", false},
		{"pkg/kfapi/a.go", module + "pkg/events", false},
		{"pkg/kfsim/a.go", module + "pkg/kfapi", false},
		{"pkg/kfsim/a.go", module + "pkg/kfcrypto", true},
		{"pkg/kfsim/a_test.go", module + "pkg/kfapi", false},
		{"pkg/events/a.go", "github.com/cloudevents/sdk-go/v2/event", true},
		{"pkg/kfcrypto/a.go", "crypto/aes", true},
	} {
		if got := refusal(c.path, c.imp) == ""; got != c.ok {
			t.Errorf("%s imports %s: allowed %v, want %v", c.path, c.imp, got, c.ok)
		}
	}
}
