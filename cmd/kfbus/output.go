package main

import (
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// output is the flag -o: text for people, json for programs.
type output struct{ format string }

func (o *output) flag(c *cobra.Command) {
	c.Flags().StringVarP(&o.format, "output", "o", "text", "text, or json: one object a line")
	pre := c.PreRunE
	c.PreRunE = func(c *cobra.Command, args []string) error {
		if o.format != "text" && o.format != "json" {
			return usage(fmt.Errorf("--output is %q; it must be text or json", o.format))
		}
		if pre != nil {
			return pre(c, args)
		}
		return nil
	}
}

func (o *output) json() bool { return o.format == "json" }

// print writes v as one line of JSON, or text.
func (o *output) print(w io.Writer, v any, text string) error {
	if !o.json() {
		_, err := fmt.Fprintln(w, text)
		return err
	}
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
