package kfsim

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write generated parts of documents again")

// TestGeneratedTables holds the tables of docs/simulator.md to the code.
func TestGeneratedTables(t *testing.T) {
	tables := map[string]func(*testing.T) string{
		"personality": personalityTable, "faults": faultTable, "hostile": hostileTable, "actions": actionTable,
		"journal": journalTable, "kinds": kindTable, "load": loadTable, "fault fields": faultFieldTable,
	}
	const path = "../../docs/simulator.md"
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	mark := regexp.MustCompile(`(?s)<!-- table: ([a-z ]+) -->\n(?:.*?<!-- end -->\n)?`)
	now := mark.ReplaceAllFunc(old, func(m []byte) []byte {
		name := string(mark.FindSubmatch(m)[1])
		table := tables[name]
		if table == nil {
			t.Errorf("no table is called %s", name)
			return m
		}
		found[name] = true
		return []byte("<!-- table: " + name + " -->\n" + table(t) + "<!-- end -->\n")
	})
	for name := range tables {
		if !found[name] {
			t.Errorf("%s does not have the table %s", path, name)
		}
	}
	if bytes.Equal(old, now) {
		return
	}
	if !*update {
		t.Errorf("%s: a table is stale; run make golden", path)
		return
	}
	if err := os.WriteFile(path, now, 0o644); err != nil {
		t.Fatal(err)
	}
}

// docField is a struct field as its source shows it.
type docField struct{ name, json, kind, comment string }

// structFields reads the fields of a struct with their JSON names and comments.
func structFields(t *testing.T, file, name string) (list []docField) {
	t.Helper()
	tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(tree, func(n ast.Node) bool {
		spec, isType := n.(*ast.TypeSpec)
		if !isType || spec.Name.Name != name {
			return true
		}
		for _, f := range spec.Type.(*ast.StructType).Fields.List {
			tag := ""
			if f.Tag != nil {
				tag = reflect.StructTag(strings.Trim(f.Tag.Value, "`")).Get("json")
			}
			tag, _, _ = strings.Cut(tag, ",")
			list = append(list, docField{f.Names[0].Name, tag, typeName(f.Type), strings.TrimSpace(f.Comment.Text())})
		}
		return false
	})
	if len(list) == 0 {
		t.Fatalf("%s has no struct %s", file, name)
	}
	return list
}

func typeName(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return map[string]string{"int": "number", "uint64": "number", "float64": "number", "bool": "true, false", "string": "text"}[e.Name]
	case *ast.SelectorExpr:
		if e.Sel.Name == "Duration" {
			return "duration"
		}
		return "time"
	case *ast.ArrayType:
		return "list"
	}
	return "object"
}

func personalityTable(t *testing.T) string {
	var b strings.Builder
	b.WriteString("| field | default | what it is |\n|---|---|---|\n")
	defaults := map[string]any{}
	if err := decodeStrict(marshal(Personality{}.withDefaults()), &defaults); err != nil {
		t.Fatal(err)
	}
	for _, f := range structFields(t, "personality.go", "Personality") {
		def, there := defaults[f.json]
		if !there || f.comment == "" {
			t.Errorf("personality %s has no comment or is not in the JSON", f.json)
		}
		what := f.comment
		if i := strings.LastIndex(what, "; "); i >= 0 && f.kind != "true, false" && (what[i+2] == '"' || !strings.Contains(what[i+2:], " ")) {
			what = what[:i] // the rest is the default
		}
		fmt.Fprintf(&b, "| `%s` | `%s` | %s |\n", f.json, strings.ReplaceAll(string(marshal(def)), "|", `\|`), what)
	}
	return b.String()
}

func faultTable(*testing.T) string {
	var b strings.Builder
	b.WriteString("| kind | what is seen | did it happen? |\n|---|---|---|\n")
	for _, k := range faultKinds() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.name, k.sees, k.happened)
	}
	return b.String()
}

func hostileTable(*testing.T) string {
	var names []string
	for _, h := range hostiles() {
		names = append(names, "`"+h.name+"`")
	}
	return strings.Join(names, ", ") + "\n"
}

func actionTable(*testing.T) string {
	var names []string
	for _, name := range sortedKeys(scriptActions()) {
		names = append(names, "`"+name+"`")
	}
	return strings.Join(names, ", ") + "\n"
}

func fieldTable(t *testing.T, file, name string) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("| field | type | meaning |\n|---|---|---|\n")
	for _, f := range structFields(t, file, name) {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", f.json, f.kind, f.comment)
	}
	return b.String()
}

func journalTable(t *testing.T) string    { return fieldTable(t, "entry.go", "Entry") }
func loadTable(t *testing.T) string       { return fieldTable(t, "load.go", "Load") }
func faultFieldTable(t *testing.T) string { return fieldTable(t, "fault.go", "Fault") }

// kindTable lists the kinds of journal entries.
func kindTable(t *testing.T) string {
	tree, err := parser.ParseFile(token.NewFileSet(), "entry.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| kind | meaning |\n|---|---|\n")
	ast.Inspect(tree, func(n ast.Node) bool {
		if v, isValue := n.(*ast.ValueSpec); isValue && len(v.Values) == 1 {
			fmt.Fprintf(&b, "| `%s` | %s |\n", strings.Trim(v.Values[0].(*ast.BasicLit).Value, `"`), strings.TrimSpace(v.Comment.Text()))
		}
		return true
	})
	return b.String()
}
