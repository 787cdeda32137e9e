package service

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
)

// Usage writes the variables that Load(prefix, cfgs...) reads as a plain table, for --help. A secret has two lines.
func Usage(w io.Writer, prefix string, cfgs ...any) error {
	rows, err := usageRows(prefix, cfgs)
	if err != nil {
		return err
	}
	tabs := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, r := range rows {
		if _, err := fmt.Fprintln(tabs, strings.Join(r[:], "\t")); err != nil {
			return err
		}
	}
	return tabs.Flush()
}

// UsageMarkdown writes the same table as Markdown, for READMEs.
func UsageMarkdown(w io.Writer, prefix string, cfgs ...any) error {
	rows, err := usageRows(prefix, cfgs)
	if err != nil {
		return err
	}
	var b strings.Builder
	for i, r := range rows {
		for j := range r {
			r[j] = strings.ReplaceAll(r[j], "|", `\|`)
			if i > 0 && r[j] != "" && (j == 0 || j == 2) {
				r[j] = "`" + r[j] + "`"
			}
		}
		fmt.Fprintf(&b, "| %s |\n", strings.Join(r[:], " | "))
		if i == 0 {
			b.WriteString(strings.Repeat("|---", len(r)) + "|\n")
		}
	}
	_, err = io.WriteString(w, b.String())
	return err
}

func usageRows(prefix string, cfgs []any) ([][5]string, error) {
	vars, err := Variables(prefix, cfgs...)
	if err != nil {
		return nil, err
	}
	rows := [][5]string{{"variable", "type", "default", "required", "meaning"}}
	for _, v := range vars {
		required := ""
		if v.Required {
			required = "yes"
		}
		rows = append(rows, [5]string{v.Name, v.Type, v.Default, required, v.Description})
		if !v.Secret {
			continue
		}
		if v.Required {
			required = "or this"
		}
		rows = append(rows, [5]string{v.Name + fileSuffix, "path", "", required,
			"file with " + v.Name + ", without one trailing newline; read again when it changes"})
	}
	return rows, nil
}
