package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/kfsim"
	"github.com/kfbus/kfbus/services/sender/api"
)

func TestAPIUsage(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"list, without a connection", []string{"api", "--list"}, 0, "account.list  "},
		{"nothing", []string{"api"}, 2, "--list"},
		{"no JSON", []string{"api", "account.list", "{"}, 2, "no JSON object"},
		{"an array", []string{"api", "account.list", "[]"}, 2, "no JSON object"},
		{"nothing on standard input", []string{"api", "account.list", "-"}, 2, "no JSON object"},
		{"a file that is not there", []string{"api", "account.list", "@/nothing/here"}, 2, "/nothing/here"},
		{"no broker", []string{"api", "account.list", "--corp", "ww1", "--nats", "nats://127.0.0.1:1"}, 3, "kfbus dev"},
	} {
		code, out, errs := kfbus(t, c.args...)
		if code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%s: code %d, want %d and %q in:\n%s%s", c.name, code, c.code, c.want, out, errs)
		}
	}
}

// call is one request that the shell and a client in another language make.
type call struct {
	path, body string
	want       string // in the answer
}

// calls are of each family one. Those that this build does not serve are named and left out.
func (s *stack) calls() []call {
	s.Helper()
	const day = 24 * 60 * 60
	yesterday := s.sim.Clock().Now().Unix()/day*day - day
	var out []call
	for _, c := range []call{
		{"account.list", `{}`, s.kf()},
		{"service_state.get", fmt.Sprintf(`{"open_kfid":%q,"external_userid":%q}`, s.kf(), s.user()), `"service_state"`},
		{"customer.batchget", fmt.Sprintf(`{"external_userid_list":[%q]}`, s.user()), s.user()},
		{"knowledge.list_group", `{"limit":10}`, `"group_list"`},
		{"get_corp_statistic", fmt.Sprintf(`{"open_kfid":%q,"start_time":%d,"end_time":%d}`, s.kf(), yesterday-day, yesterday), `"statistic_list"`},
	} {
		if !slices.Contains(api.APIs(), callPath(c.path)) {
			s.Logf("%s is not served yet", c.path)
			continue
		}
		out = append(out, c)
	}
	if len(out) < 2 {
		s.Fatalf("only %d calls are served", len(out))
	}
	return out
}

func TestAPIOnTheStack(t *testing.T) {
	s := startStack(t)
	s.say("你好")
	t.Setenv("KF_CORP_ID", "") // as in another terminal: the sender says for whom it answers
	for _, c := range s.calls() {
		for _, spelling := range []string{c.path, "/cgi-bin/kf/" + strings.ReplaceAll(c.path, ".", "/")} {
			code, out, errs := kfbus(t, "api", spelling, c.body, "--nats", s.urls.nats)
			if code != 0 || !strings.Contains(out, c.want) || !strings.Contains(out, "\n  \"errcode\": 0,\n") {
				t.Errorf("%s: code %d, got %s%s, want %q, indented", spelling, code, out, errs, c.want)
			}
		}
	}
	file := filepath.Join(t.TempDir(), "request.json")
	if err := os.WriteFile(file, []byte(` {"limit":1} `), 0o600); err != nil {
		t.Fatal(err)
	}
	if code, out, errs := kfbus(t, "api", "account.list", "@"+file, "--raw", "--nats", s.urls.nats); code != 0 || strings.Contains(out, "\n") {
		t.Errorf("--raw: code %d, got %q %s", code, out, errs)
	}
	if _, err := s.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultErrCode, Path: "kf/account/list", ErrCode: 95004, Count: 1}); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"refused by WeChat", []string{"account.list"}, 1, []string{"errcode 95004", "open_kfid does not exist", "did WeChat get it: yes"}},
		{"refused by the sender", []string{"account.list", `{"limit":101}`}, 1, []string{"400 param", "limit", "nothing was sent"}},
		{"a command", []string{"send_msg", `{}`}, 2, []string{"send_msg is a command", "kf.command.<team>"}},
		{"no call", []string{"account.lists"}, 2, []string{"account/lists", "--list"}},
		{"another corp", []string{"account.list", "--corp", "wwOTHER"}, 3, []string{"no sender answers for corp wwOTHER, but for " + s.corp(), "kfbus dev"}},
	} {
		code, out, errs := kfbus(t, append(append([]string{"api"}, c.args...), "--nats", s.urls.nats)...)
		for _, want := range c.want {
			if code != c.code || out != "" || !strings.Contains(errs, want) {
				t.Errorf("%s: code %d, want %d and %q in:\n%s%s", c.name, code, c.code, want, out, errs)
			}
		}
	}
}

func TestAPIWithoutASender(t *testing.T) {
	srv := testkit.NATS(t)
	for _, corp := range [][]string{nil, {"--corp", "ww1"}} {
		code, out, errs := kfbus(t, append([]string{"api", "account.list", "--nats", srv.URL()}, corp...)...)
		if code != 3 || out != "" || !strings.Contains(errs, "no sender answers; start one with `kfbus sender`") {
			t.Errorf("%v: code %d, got %s%s", corp, code, out, errs)
		}
	}
}

func TestMediaOnTheStack(t *testing.T) {
	s := startStack(t)
	dir := t.TempDir()
	want := bytes.Repeat([]byte("一张图 "), 5000)
	file := filepath.Join(dir, "合同.pdf")
	if err := os.WriteFile(file, want, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs := kfbus(t, "media", "put", file, "--nats", s.urls.nats)
	var put struct {
		MediaID string `json:"media_id"`
	}
	if err := json.Unmarshal([]byte(out), &put); err != nil || code != 0 || put.MediaID == "" {
		t.Fatalf("put: code %d, got %s%s", code, out, errs)
	}
	back := filepath.Join(dir, "back")
	if code, out, errs := kfbus(t, "media", "get", put.MediaID, "-o", back, "--nats", s.urls.nats); code != 0 {
		t.Fatalf("get: code %d, got %s%s", code, out, errs)
	}
	if got, err := os.ReadFile(back); err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes (%v), want the %d that were put", len(got), err, len(want))
	}
	if code, _, errs := kfbus(t, "media", "get", put.MediaID, "-o", back, "--nats", s.urls.nats); code != 2 {
		t.Errorf("over a file that is there: code %d, want 2: %s", code, errs)
	}
	if code, out, errs := kfbus(t, "media", "get", put.MediaID, "--nats", s.urls.nats); code != 0 || !strings.Contains(out, `"bucket": "kf_media"`) {
		t.Errorf("where it is: code %d, got %s%s", code, out, errs)
	}
	if code, _, errs := kfbus(t, "media", "get", "nothing", "--nats", s.urls.nats); code != 1 || !strings.Contains(errs, "40007") {
		t.Errorf("an unknown media_id: code %d, got %s", code, errs)
	}
}

// python finds an interpreter that has these modules, or skips.
func python(t *testing.T, modules ...string) string {
	t.Helper()
	name := os.Getenv("KF_PYTHON")
	if name == "" {
		name = "python3"
	}
	out, err := exec.CommandContext(t.Context(), name, "-c", "import "+strings.Join(modules, ", ")).CombinedOutput()
	if err == nil {
		return name
	}
	why := fmt.Sprintf("%s lacks "+strings.Join(modules, " or ")+" (%v): %s\nmake a virtual environment, install examples/python/requirements.txt there, and set KF_PYTHON to its python3",
		name, err, last(out, 200))
	if os.Getenv("KF_REQUIRE_PYTHON") == "1" {
		t.Fatal(why)
	}
	t.Skip(why)
	return ""
}

// TestAPIFromPython makes the same calls with a client that is not Go, over TCP.
func TestAPIFromPython(t *testing.T) {
	interpreter := python(t, "nats")
	s := startStack(t)
	s.say("你好")
	run := func(args ...string) (code int, out, errs string) {
		t.Helper()
		var o, e bytes.Buffer
		c := exec.CommandContext(t.Context(), interpreter, append([]string{"../../examples/python/api.py", "--nats", s.urls.nats, "--corp", s.corp()}, args...)...)
		c.Stdout, c.Stderr = &o, &e
		if err := c.Run(); err != nil && c.ProcessState == nil {
			t.Fatal(err)
		}
		return c.ProcessState.ExitCode(), o.String(), e.String()
	}
	for _, c := range s.calls() {
		code, out, errs := run(c.path, c.body)
		if code != 0 || !json.Valid([]byte(out)) || !strings.Contains(out, c.want) {
			t.Errorf("%s: code %d, got %s%s, want %q", c.path, code, out, errs, c.want)
		}
	}
	if _, err := s.sim.AddFault(kfsim.Fault{Kind: kfsim.FaultErrCode, Path: "kf/account/list", ErrCode: 48002, Count: 1}); err != nil {
		t.Fatal(err)
	}
	type refused struct {
		Code     int    `json:"code"`
		Errcode  *int   `json:"errcode"`
		Category string `json:"category"`
		Sent     string `json:"sent"`
	}
	for _, c := range []struct {
		name, path, body string
		code, errcode    int
		category, sent   string
	}{
		{"WeChat's refusal", "account.list", `{}`, 403, 48002, "perm", "yes"},
		{"our own", "account.list", `{"limit":-1}`, 400, 0, "param", "no"},
		{"a command", "send_msg", `{}`, 405, 0, "command", "no"},
	} {
		code, out, errs := run(c.path, c.body)
		var got refused
		if err := json.Unmarshal([]byte(errs), &got); err != nil || code != 1 || out != "" {
			t.Errorf("%s: code %d, got %s%s", c.name, code, out, errs)
			continue
		}
		if got.Code != c.code || got.Category != c.category || got.Sent != c.sent || (got.Errcode == nil) != (c.errcode == 0) || got.Errcode != nil && *got.Errcode != c.errcode {
			t.Errorf("%s: got %s, want %+v", c.name, errs, c)
		}
	}
	if code, _, errs := run("no.such_call", "{}", "--timeout", "1"); code != 3 {
		t.Errorf("an unknown call: code %d, got %s", code, errs)
	}
	if code, _, errs := run("account.list", "--nats", "nats://127.0.0.1:1"); code != 3 || strings.Contains(errs, "Traceback") || !strings.Contains(errs, "no NATS server") {
		t.Errorf("without a server: code %d, got %s, want one line that says so", code, errs)
	}
}
