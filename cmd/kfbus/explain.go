package main

import (
	"cmp"
	"errors"
	"fmt"
	"iter"
	"os"
	"regexp"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/kfbus/kfbus/pkg/kfapi"
)

// explain is the command's flags.
type explain struct {
	output
	lang              string
	all, fail, asJSON bool
}

func explainCommand(s std) *cobra.Command {
	var x explain
	c := &cobra.Command{Use: "explain CODE [ERRMSG]", Short: "say what an errcode of the platform means and what to do",
		Long: `explain says what an errcode means, what to check, what to do, whether to repeat the call and whether a new access
token helps. With the platform's errmsg, in quotes, it also finds the caller's address, the hint id and the warning about
JSON in it. Negative codes are -1 and those of the callback crypto libraries, -40001 to -40014.

Exit code 1 means that the code is not in the catalogue.`,
		Example: `  kfbus explain 95018 --lang zh
  kfbus explain -1
  kfbus explain 60020 "not allow to access from your ip, hint: [1700000000], from ip: 203.0.113.7"
  kfbus explain 6 --fail-type
  kfbus explain --all -o json`,
		Args: func(_ *cobra.Command, args []string) error { return x.args(args) },
		PreRunE: func(*cobra.Command, []string) error {
			if x.lang != "" && x.lang != "en" && x.lang != "zh" {
				return usage(fmt.Errorf("--lang is %q; it must be en or zh", x.lang))
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if x.asJSON {
				x.format = "json"
			}
			if x.all {
				return x.list(s)
			}
			return x.one(s, args)
		}}
	x.flag(c)
	c.Flags().StringVar(&x.lang, "lang", "", "en or zh (default: by LC_ALL, LC_MESSAGES or LANG)")
	c.Flags().BoolVar(&x.all, "all", false, "list the whole catalogue")
	c.Flags().BoolVar(&x.fail, "fail-type", false, "CODE is the fail_type of an event msg_send_fail")
	c.Flags().BoolVar(&x.asJSON, "json", false, "the same as -o json")
	return c
}

var negative = regexp.MustCompile(`^-[0-9]+$`)

// explainArgs lets `kfbus explain -1` through: with a space before it, a negative number is no flag.
func explainArgs(args []string) []string {
	if len(args) == 0 || args[0] != "explain" {
		return args
	}
	out := append([]string(nil), args...)
	for i, a := range out {
		if negative.MatchString(a) {
			out[i] = " " + a
		}
	}
	return out
}

func (x *explain) args(args []string) error {
	if x.all {
		if len(args) > 0 {
			return usage(errors.New("kfbus explain --all takes no arguments"))
		}
		return nil
	}
	if len(args) < 1 || len(args) > 2 {
		return usage(errors.New("kfbus explain takes one CODE and perhaps the ERRMSG in quotes, or --all; see kfbus explain --help"))
	}
	if _, err := errcode(args[0]); err != nil {
		return usage(err)
	}
	return nil
}

func errcode(arg string) (int, error) {
	code, err := strconv.ParseInt(strings.TrimSpace(arg), 10, 32)
	if err != nil {
		return 0, fmt.Errorf("CODE is %q; it must be a whole number such as 95018 or -1", arg)
	}
	return int(code), nil
}

func (x *explain) language() kfapi.Lang { return languageOf(x.lang) }

// languageOf is --lang, or what the environment asks for: Chinese if that begins with zh, else English.
func languageOf(flag string) kfapi.Lang {
	if flag != "" {
		return kfapi.Lang(flag)
	}
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := os.Getenv(name); v != "" {
			if strings.HasPrefix(strings.ToLower(v), "zh") {
				return kfapi.Chinese
			}
			break
		}
	}
	return kfapi.English
}

func (x *explain) one(s std, args []string) error {
	code, err := errcode(args[0])
	if err != nil {
		return usage(err)
	}
	errmsg := strings.Join(args[1:], "")
	var e explained
	if x.fail {
		e = explainedFail(kfapi.FailType(code), x.language())
		e.Text = kfapi.ExplainFail(kfapi.FailType(code), x.language())
	} else {
		e = explainedCode(code, x.language())
		e.WrongJSON = kfapi.IsWrongJSONFormat(errmsg)
		e.Text = kfapi.Explain(code, errmsg, x.language())
	}
	if err := x.print(s.out, e, e.Text); err != nil {
		return err
	}
	if !e.Known {
		return errSaid
	}
	return nil
}

func (x *explain) list(s std) error {
	for e := range x.everything() {
		text := fmt.Sprintf("%7d  %-11s  %-8s  %s", e.Code, cmp.Or(e.Category, "-"), cmp.Or(e.Action, "-"), e.Meaning)
		if x.fail {
			text = fmt.Sprintf("%7d  %-8s  %s", e.Code, cmp.Or(e.Action, "-"), e.Meaning)
		}
		if err := x.print(s.out, e, text); err != nil {
			return err
		}
	}
	return nil
}

func (x *explain) everything() iter.Seq[explained] {
	return func(yield func(explained) bool) {
		if x.fail {
			for _, f := range kfapi.FailTypes() {
				if !yield(explainedFail(f.Type, x.language())) {
					return
				}
			}
			return
		}
		for info := range kfapi.Catalogue() {
			if !yield(explainedCode(info.Code, x.language())) {
				return
			}
		}
	}
}

// explained is the JSON of the command; meaning, hint and text are in the language asked for.
type explained struct {
	Code         int    `json:"code"` // or the fail_type
	Known        bool   `json:"known"`
	Category     string `json:"category,omitempty"`
	Action       string `json:"action,omitempty"`
	Meaning      string `json:"meaning,omitempty"`
	Hint         string `json:"hint,omitempty"`
	Unconfirmed  bool   `json:"unconfirmed"`
	Retry        bool   `json:"retry"`
	Attempts     int    `json:"attempts,omitempty"`         // repetitions at most
	FirstBackoff int64  `json:"first_backoff_ms,omitempty"` // doubled each time
	RefreshToken bool   `json:"refresh_token"`
	WrongJSON    bool   `json:"wrong_json_format"`
	URL          string `json:"url,omitempty"`
	Text         string `json:"text,omitempty"`
}

func explainedCode(code int, lang kfapi.Lang) explained {
	info, known := kfapi.Lookup(code)
	meaning, hint := info.Text(lang)
	retry := kfapi.ShouldRetry(code)
	e := explained{Code: code, Known: known, Category: string(info.Category), Action: string(info.Action), Meaning: meaning, Hint: hint,
		Unconfirmed: info.Unconfirmed, Retry: retry.Retry, Attempts: retry.Attempts, FirstBackoff: retry.FirstBackoff.Milliseconds(),
		RefreshToken: kfapi.ShouldRefreshToken(code)}
	if info.Category != kfapi.CategoryCrypto {
		e.URL = kfapi.QueryURL(code)
	}
	return e
}

func explainedFail(t kfapi.FailType, lang kfapi.Lang) explained {
	f, known := kfapi.LookupFail(t)
	meaning, hint := f.Text(lang)
	return explained{Code: int(t), Known: known, Action: string(f.Action), Meaning: meaning, Hint: hint}
}
