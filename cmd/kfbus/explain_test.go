package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/kfbus/kfbus/pkg/kfapi"
)

func noLocale(t *testing.T) {
	t.Helper()
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		t.Setenv(name, "")
	}
}

func TestExplain(t *testing.T) {
	noLocale(t)
	for _, c := range []struct {
		name string
		args []string
		code int
		want []string
	}{
		{"a code", []string{"45009"}, 0, []string{"errcode 45009, frequency", "150,000 an hour", "after 60 s"}},
		{"in Chinese", []string{"95018", "--lang", "zh"}, 0, []string{"错误码 95018，状态", "排查：", "处理："}},
		{"a flag before it", []string{"--lang=zh", "95018"}, 0, []string{"错误码 95018"}},
		{"busy, which is negative", []string{"-1"}, 0, []string{"errcode -1, temporary", "first after 300 ms"}},
		{"a library's code, with a flag behind it", []string{"-40001", "--lang", "zh"}, 0, []string{"错误码 -40001", "签名不匹配"}},
		{"a negative one behind a flag and with errmsg", []string{"-o", "text", "-1", "hint: [77]"}, 0, []string{"errcode -1", "support 77"}},
		{"a negative one behind --", []string{"--", "-40005"}, 0, []string{"receiveid"}},
		{"an errmsg", []string{"60020", "not allow to access from your ip, from ip: 203.0.113.7, more"}, 0, []string{"came from 203.0.113.7"}},
		{"broken JSON", []string{"0", "ok, Warning: wrong json format. "}, 0, []string{"success", "Warning:"}},
		{"a fail_type", []string{"6", "--fail-type"}, 0, []string{"fail_type 6: more than 5 messages"}},
		{"unknown", []string{"95099"}, 1, []string{"not in the catalogue", "WeChat Customer Service", "query?e=95099"}},
		{"unknown in Chinese", []string{"12345", "--lang", "zh"}, 1, []string{"错误码 12345 不在目录中", "query?e=12345"}},
		{"unknown and negative", []string{"-7"}, 1, []string{"errcode -7 is not in the catalogue"}},
		{"an unknown fail_type", []string{"3", "--fail-type"}, 1, []string{"not documented"}},
		{"the catalogue", []string{"--all"}, 0, []string{"     -1  transient    retry     system busy\n", "\n  95018  state        reread    session state"}},
		{"the catalogue in Chinese", []string{"--all", "--lang", "zh"}, 0, []string{"系统繁忙\n"}},
		{"the fail_types", []string{"--all", "--fail-type"}, 0, []string{"     13  alert     security restriction\n"}},
		{"nothing", nil, 2, []string{"one CODE"}},
		{"no number", []string{"95o18"}, 2, []string{`CODE is "95o18"`, "such as 95018 or -1"}},
		{"no number of the platform's", []string{"99999999999"}, 2, []string{"whole number"}},
		{"errmsg without quotes", []string{"60020", "not", "allow"}, 2, []string{"in quotes"}},
		{"the catalogue and a code", []string{"--all", "95018"}, 2, []string{"--all takes no arguments"}},
		{"another language", []string{"95018", "--lang", "fr"}, 2, []string{"en or zh"}},
		{"another format", []string{"95018", "-o", "xml"}, 2, []string{"text or json"}},
	} {
		code, out, errs := kfbus(t, append([]string{"explain"}, c.args...)...)
		if code != c.code || (code == 2) != (out == "") || (code == 2) != (errs != "") {
			t.Errorf("%s: code %d, want %d\nout: %s\nerr: %s", c.name, code, c.code, out, errs)
		}
		for _, want := range c.want {
			if !strings.Contains(out+errs, want) {
				t.Errorf("%s: %q is missing in\n%s%s", c.name, want, out, errs)
			}
		}
	}
}

func TestExplainSpeaksTheLocale(t *testing.T) {
	for _, c := range []struct{ all, messages, lang, want string }{
		{"", "", "", "success"},
		{"", "", "zh_CN.UTF-8", "成功"},
		{"", "zh_TW", "en_US.UTF-8", "成功"},
		{"C", "", "zh_CN.UTF-8", "success"},
		{"zh_CN.UTF-8", "en_US", "en_US.UTF-8", "成功"},
	} {
		t.Setenv("LC_ALL", c.all)
		t.Setenv("LC_MESSAGES", c.messages)
		t.Setenv("LANG", c.lang)
		if code, out, _ := kfbus(t, "explain", "0"); code != 0 || !strings.Contains(out, c.want) {
			t.Errorf("%+v: code %d: %s", c, code, out)
		}
		if _, out, _ := kfbus(t, "explain", "0", "--lang", "en"); !strings.Contains(out, "success") {
			t.Errorf("%+v: --lang does not win: %s", c, out)
		}
	}
}

func TestExplainJSON(t *testing.T) {
	noLocale(t)
	_, out, _ := kfbus(t, "explain", "-1", "x & <y>, Warning: Wrong JSON format.", "--json")
	want := `{"code":-1,"known":true,"category":"transient","action":"retry","meaning":"system busy","hint":"The platform is out of breath. Repeat at most 3 times, first after 300 ms; a send only with the same msgid.","unconfirmed":false,"retry":true,"attempts":3,"first_backoff_ms":300,"refresh_token":false,"wrong_json_format":true,"url":"https://open.work.weixin.qq.com/devtool/query?e=-1","text":"`
	if !strings.HasPrefix(out, want) {
		t.Errorf("got  %s\nwant %s…", out, want)
	}
	code, out, _ := kfbus(t, "explain", "12345", "-o", "json")
	var e explained
	if err := json.Unmarshal([]byte(out), &e); err != nil || e.Known || e.Retry || e.Code != 12345 || e.Text == "" || code != 1 {
		t.Errorf("unknown: %v, code %d: %s", err, code, out)
	}
	_, out, _ = kfbus(t, "explain", "--all", "--lang", "zh", "-o", "json")
	n := 0
	for line := range strings.Lines(out) {
		n++
		var e explained
		if err := json.Unmarshal([]byte(line), &e); err != nil || !e.Known || e.Meaning == "" || e.Hint == "" {
			t.Errorf("%v: %s", err, line)
		}
	}
	all := 0
	for range kfapi.Catalogue() {
		all++
	}
	if n != all {
		t.Errorf("got %d lines, want %d", n, all)
	}
}

// TestExplainExamples runs what --help shows.
func TestExplainExamples(t *testing.T) {
	word := regexp.MustCompile(`"[^"]*"|\S+`)
	n := 0
	for line := range strings.Lines(explainCommand(std{}).Example) {
		n++
		var args []string
		for _, w := range word.FindAllString(line, -1) {
			args = append(args, strings.Trim(w, `"`))
		}
		if code, out, errs := kfbus(t, args[1:]...); code != 0 || out == "" || errs != "" {
			t.Errorf("%s: code %d\n%s%s", line, code, out, errs)
		}
	}
	if n < 5 {
		t.Errorf("got %d examples", n)
	}
}

// TestExplainArgsLeavesOtherCommandsAlone: only the codes of explain may begin with a minus.
func TestExplainArgsLeavesOtherCommandsAlone(t *testing.T) {
	for _, args := range [][]string{nil, {"send", "wk1", "-1"}, {"version", "-o", "json"}, {"explain", "-o", "json", "--lang", "zh", "1"}} {
		if got := explainArgs(args); strings.Join(got, "|") != strings.Join(args, "|") {
			t.Errorf("got %q, want %q", got, args)
		}
	}
	args := []string{"explain", "-1"}
	if explainArgs(args); args[1] != "-1" {
		t.Error("it writes into its argument")
	}
}

// TestGeneratedErrors holds the tables in docs/errors.md to the catalogue.
func TestGeneratedErrors(t *testing.T) {
	generated(t, "../../docs/errors.md", "errors", map[string]string{"codes": codesTable(), "fail-types": failTable(), "retry": retryTable()})
}

func cell(s string) string { return strings.ReplaceAll(s, "|", `\|`) }

func codesTable() string {
	var b strings.Builder
	b.WriteString("| code | meaning | 含义 | category | action | check | 排查 |\n|---:|---|---|---|---|---|---|\n")
	for i := range kfapi.Catalogue() {
		code := fmt.Sprint(i.Code)
		if i.Unconfirmed {
			code += " *"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s |\n", code, cell(i.Meaning), cell(i.MeaningZH), i.Category, i.Action, cell(i.Hint), cell(i.HintZH))
	}
	return b.String()
}

func failTable() string {
	var b strings.Builder
	b.WriteString("| fail_type | meaning | 含义 | action | check | 排查 |\n|---:|---|---|---|---|---|\n")
	for _, f := range kfapi.FailTypes() {
		fmt.Fprintf(&b, "| %d | %s | %s | %s | %s | %s |\n", f.Type, cell(f.Meaning), cell(f.MeaningZH), f.Action, cell(f.Hint), cell(f.HintZH))
	}
	return b.String()
}

func retryTable() string {
	var b strings.Builder
	b.WriteString("| code | repetitions | first pause | why |\n|---:|---:|---:|---|\n")
	for i := range kfapi.Catalogue() {
		if r := kfapi.ShouldRetry(i.Code); r.Retry {
			fmt.Fprintf(&b, "| %d | %d | %g s | %s |\n", i.Code, r.Attempts, r.FirstBackoff.Seconds(), r.Reason)
		}
	}
	return b.String()
}
