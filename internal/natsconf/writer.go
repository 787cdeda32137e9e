package natsconf

import (
	"fmt"
	"strconv"
	"strings"
)

// writer writes indented lines.
type writer struct {
	strings.Builder
	in int
}

func (w *writer) line(format string, args ...any) {
	fmt.Fprint(w, strings.Repeat("  ", w.in), fmt.Sprintf(format, args...), "\n")
}

func (w *writer) open(name string) { w.line("%s {", name); w.in++ }
func (w *writer) shut()            { w.in--; w.line("}") }

func (w *writer) list(name string, subjects []string) {
	w.line("%s: { allow: [", name)
	for _, s := range subjects {
		w.line("  %s", strconv.Quote(s))
	}
	w.line("] }")
}
