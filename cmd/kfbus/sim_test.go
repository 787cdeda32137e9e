package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/spf13/cobra"
)

func TestSimRefusesWrongFlags(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"no script", []string{"--script", dir + "/none"}, []string{"--script", "no such file"}},
		{"a bad script", []string{"--script", file("s.json", `{"steps":[{"at":"0s","fault":{"kind":"x"}}]}`)}, []string{"--script", "script step 1: fault: fault kind"}},
		{"unknown personality", []string{"--personality", "nonsense=1"}, []string{"--personality nonsense=1", "unknown field", "docs/simulator.md"}},
		{"impossible personality", []string{"--personality", "idle_cursor=x"}, []string{"--personality", "idle_cursor", "same"}},
		{"wrong type", []string{"--personality", "page_cap=many"}, []string{"--personality page_cap=many"}},
		{"no personality file", []string{"--personality", dir + "/none"}, []string{"--personality", "key=value"}},
		{"load", []string{"--load", "fast/s"}, []string{"--load", "50/s"}},
		{"load object", []string{"--load", `{"speed":1}`}, []string{"--load", "speed"}},
		{"empty load", []string{"--load", `{}`}, []string{"--load", "per_second"}},
		{"speed", []string{"--speed", "-1"}, []string{"--speed", "between 0 and"}},
		{"accounts", []string{"--accounts", "0"}, []string{"--accounts", "1 to 5000"}},
		{"customers", []string{"--customers", "-1"}, []string{"--customers", "1000000"}},
		{"account id", []string{"--open-kfid", "kfc1"}, []string{"--open-kfid", "wk"}},
		{"key", []string{"--aes-key", "short"}, []string{"--aes-key", "43", "keygen"}},
		{"token", []string{"--token", "no spaces"}, []string{"--token", "keygen"}},
		{"a secret's file", []string{"--secret", "@" + dir + "/none"}, []string{"--secret", "no such file"}},
		{"corp", []string{"--corp", "a b"}, []string{"--corp"}},
		{"callback", []string{"--callback", "nowhere"}, []string{"--callback", "http://"}},
		{"format", []string{"--callback-format", "yaml"}, []string{"--callback-format", "xml or json"}},
		{"journal", []string{"--journal", dir + "/no/where"}, []string{"--journal", "no such file"}},
		{"journal limit", []string{"--journal-limit", "-1"}, []string{"--journal-limit"}},
		{"workers", []string{"--callback-workers", "-1"}, []string{"--callback-workers"}},
		{"listen", []string{"--listen", "nowhere"}, []string{"--listen"}},
	} {
		code, out, errs := kfbus(t, append([]string{"sim", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"}, c.args...)...)
		for _, want := range c.want {
			if code != 2 || !strings.Contains(errs, want) {
				t.Errorf("%s: code %d, want 2 and %q in:\n%s%s", c.name, code, want, out, errs)
			}
		}
	}
}

// TestSimDoesWhatItsFlagsSay starts it with all of them and looks at what there is.
func TestSimDoesWhatItsFlagsSay(t *testing.T) {
	dir := t.TempDir()
	script, journal, personality := filepath.Join(dir, "script.json"), filepath.Join(dir, "journal.jsonl"), filepath.Join(dir, "p.json")
	secret := filepath.Join(dir, "corpsecret")
	for path, text := range map[string]string{
		script:      `{"steps":[{"at":"0s","fault":{"id":"busy","kind":"errcode","errcode":-1,"path":"kf/account/list"}}]}`,
		personality: `{"access_token_ttl":"1h"}`,
		secret:      "s3cret\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	ctx, stop := context.WithCancel(t.Context())
	r, w := io.Pipe()
	done := make(chan int, 1)
	var errs bytes.Buffer
	go func() {
		code := run(ctx, []string{"sim", "-o", "json", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", "--corp", "ww0123456789abcdef", "--secret", "@" + secret,
			"--token", "T0ken", "--aes-key", strings.Repeat("A", 43), "--open-kfid", "wkDESK", "--accounts", "3", "--customers", "4", "--seed", "7", "--speed", "60",
			"--script", script, "--journal", journal, "--journal-limit", "1000", "--personality", personality, "--personality", "empty_page_every=3", "--personality", "repeated_msgid=accept",
			"--load", `{"per_second":50}`}, strings.NewReader(""), w, &errs)
		_ = w.Close()
		done <- code
	}()
	var at struct {
		Platform, Control string
		Account           struct {
			OpenKfID string `json:"open_kfid"`
		}
		Customers []any
	}
	if err := json.NewDecoder(r).Decode(&at); err != nil {
		t.Fatalf("%v: %s", err, errs.String())
	}
	read := func(url string) string {
		resp, err := http.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	token := read(at.Platform + "/cgi-bin/gettoken?corpid=ww0123456789abcdef&corpsecret=s3cret")
	var got struct {
		AccessToken string `json:"access_token"`
	}
	if err := json.Unmarshal([]byte(token), &got); err != nil || !strings.Contains(token, `"expires_in":3600`) {
		t.Errorf("gettoken: got %s, want an hour: the personality's file", token)
	}
	if body := read(at.Platform + "/cgi-bin/kf/account/list?access_token=" + got.AccessToken); !strings.Contains(body, `"errcode":-1`) {
		t.Errorf("account/list: got %s, want the script's fault", body)
	}
	if at.Account.OpenKfID != "wkDESK" || len(at.Customers) != 4 {
		t.Errorf("got account %q and %d customers", at.Account.OpenKfID, len(at.Customers))
	}
	for path, want := range map[string]string{
		"/personality": `"empty_page_every":3`, "/clock": `"speed":60`, "/script": `"fired":true`, "/load": `"per_second":50`, "/state": "wkDESK",
		"/faults": `"id":"busy"`,
	} {
		if body := read(at.Control + path); !strings.Contains(body, want) {
			t.Errorf("%s: got %s, want %s", path, body, want)
		}
	}
	stop()
	if code := <-done; code != 0 {
		t.Errorf("code %d, want 0: %s", code, errs.String())
	}
	text, err := os.ReadFile(journal)
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{`"reason":"speed is now 60"`, `"kind":"corp"`, `"kind":"account"`} {
		if line := strings.Split(string(text), "\n")[i]; !strings.Contains(line, want) {
			t.Errorf("journal line %d: got %s, want %s", i+1, line, want)
		}
	}
	if !strings.Contains(string(text), `"path":"kf/account/list"`) || !strings.Contains(string(text), `"kind":"load","reason":"ended"`) || strings.Contains(string(text), "s3cret") {
		t.Error("the journal lacks the call or the end of the load, or holds the secret")
	}
}

// TestSimCommandsShown reads every `kfbus sim` command of the manual and of --help as sim itself would.
func TestSimCommandsShown(t *testing.T) {
	manual, err := os.ReadFile("../../docs/simulator.md")
	if err != nil {
		t.Fatal(err)
	}
	t.Chdir(t.TempDir())
	if err := os.WriteFile("faults.json", []byte(`{"steps":[{"at":"0s","remove_faults":{}}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	shown := 0
	for line := range strings.Lines(string(manual) + simCommand(std{}).Example) {
		line = strings.ReplaceAll(strings.TrimSpace(line), `"$KEY"`, strings.Repeat("A", 43))
		if !strings.HasPrefix(line, "kfbus sim") || strings.HasPrefix(line, "kfbus sim --help") {
			continue
		}
		shown++
		var words []string
		for i, part := range strings.Split(strings.TrimPrefix(line, "kfbus sim"), "'") {
			if i%2 == 1 {
				words = append(words, part)
			} else {
				words = append(words, strings.Fields(part)...)
			}
		}
		var o simOptions
		c := &cobra.Command{}
		o.flags(c)
		if err := c.ParseFlags(words); err != nil {
			t.Errorf("%s: %v", line, err)
		}
		if _, _, err := o.config(); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
	if shown < 8 {
		t.Errorf("%d commands are shown, want more", shown)
	}
}

// TestSimsOfSeedZeroDiffer: services that outlive a simulator must not meet its ids again.
func TestSimsOfSeedZeroDiffer(t *testing.T) {
	seed := func(n uint64) uint64 {
		o := simOptions{seed: n, world: worldSpec{accounts: 1, customers: 1}}
		cfg, _, err := o.config()
		if err != nil {
			t.Fatal(err)
		}
		return cfg.Seed
	}
	if one, two := seed(0), seed(0); one == two || one == 0 {
		t.Errorf("two starts have the seeds %d and %d", one, two)
	}
	if got := seed(7); got != 7 {
		t.Errorf("seed 7 became %d", got)
	}
}
