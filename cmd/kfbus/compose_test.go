package main

import (
	"os"
	"regexp"
	"testing"

	"github.com/kfbus/kfbus/internal/service"
)

// TestComposeSetsWhatIsRequired: a service of compose.yaml that lacks a required variable never starts.
func TestComposeSetsWhatIsRequired(t *testing.T) {
	raw, err := os.ReadFile("../../compose.yaml")
	if err != nil {
		t.Fatal(err)
	}
	block := func(head string) []byte {
		t.Helper()
		b := regexp.MustCompile(`(?m)^` + head + `.*\n(` + regexp.MustCompile(`^ *`).FindString(head) + ` +.*\n)+`).Find(raw)
		if b == nil {
			t.Fatalf("compose.yaml has no %q", head)
		}
		return b
	}
	sealed := map[string][]string{ // no variable alone says so
		"tokenkeeper": {"KF_TOKEN_SEAL_KEY", "KF_TOKEN_READERS"},
		"syncer":      {"KF_TOKEN_OPEN_KEY", "KF_TOKEN_KEEPER"},
		"sender":      {"KF_TOKEN_OPEN_KEY", "KF_TOKEN_KEEPER"},
	}
	shared := block("x-environment:")
	for name, cfgs := range map[string][]any{
		"ingress":     {&settings{}, &corpEnv{}, &ingressEnv{}, &doorEnv{}},
		"syncer":      {&settings{}, &corpEnv{}, &syncerEnv{}, &readerEnv{}},
		"sender":      {&settings{}, &corpEnv{}, &senderEnv{}, &readerEnv{}},
		"tokenkeeper": {&settings{}, &corpEnv{}, &tokenkeeperEnv{}, &singleEnv{}},
	} {
		vars, err := service.Variables("KF", cfgs...)
		if err != nil {
			t.Fatal(err)
		}
		own := append(block("  "+name+":"), shared...)
		needs := sealed[name]
		for _, v := range vars {
			if v.Required {
				needs = append(needs, v.Name)
			}
		}
		for _, v := range needs {
			if !regexp.MustCompile(`(?m)^ +` + v + `(_FILE)?: `).Match(own) {
				t.Errorf("%s is started without %s", name, v)
			}
		}
	}
}
