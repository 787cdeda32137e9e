package service

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"testing"
)

// loadAndShow loads a configuration and writes what the kernel then shows of the environment.
func loadAndShow() {
	if os.Getenv(loadMode) == "load" {
		if err := Load("KFTEST", &struct {
			CorpSecret Secret `split_words:"true"`
			Other      Secret
			Plain      string
		}{}); err != nil {
			panic(err)
		}
	}
	b, err := os.ReadFile("/proc/self/environ")
	if err != nil {
		panic(err)
	}
	if _, err := os.Stdout.Write(b); err != nil {
		panic(err)
	}
	os.Exit(0)
}

func TestTheKernelsEnvironmentForgetsSecrets(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("SKIP: /proc/PID/environ is Linux's")
	}
	show := func(mode string) string {
		t.Helper()
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = []string{"FIRST=1", "KFTEST_CORP_SECRET=" + canary, "KFTEST_PLAIN=stays", "KFTEST_CORP_SECRET_COPY=also", "KFTEST_OTHER=" + canary, loadMode + "=" + mode, "LAST=1"}
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.ReplaceAll(string(out), "\x00", "\n")
	}
	before := show("show")
	if strings.Count(before, canary) != 2 {
		t.Fatalf("what is looked for is not in the environment before:\n%s", before)
	}
	after := show("load")
	for _, want := range []string{"FIRST=1\n", "KFTEST_CORP_SECRET=\n", "KFTEST_PLAIN=stays\n", "KFTEST_CORP_SECRET_COPY=also\n", "LAST=1\n"} {
		if !strings.Contains(after, want) {
			t.Errorf("%q is gone from:\n%s", want, after)
		}
	}
	hides(t, "/proc/self/environ", after)
}
