package main

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kfbus/kfbus/pkg/kfsim"
)

func TestPullMessages(t *testing.T) {
	sim, err := kfsim.New(kfsim.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	platform := httptest.NewServer(sim.Platform())
	t.Cleanup(platform.Close)
	corp, err := sim.AddCorp(kfsim.Corp{})
	if err != nil {
		t.Fatal(err)
	}
	account, err := sim.AddAccount(kfsim.Account{})
	if err != nil {
		t.Fatal(err)
	}
	customer, err := sim.AddCustomer(kfsim.Customer{})
	if err != nil {
		t.Fatal(err)
	}
	say := func(texts ...string) {
		for _, text := range texts {
			if _, err := sim.CustomerSays(account.OpenKfID, customer.ExternalUserID, text); err != nil {
				t.Fatal(err)
			}
		}
	}
	env := map[string]string{"WXKF_CORP_ID": corp.CorpID, "WXKF_APP_SECRET": corp.Secrets[0], "WXKF_OPEN_KFID": account.OpenKfID,
		"WXKF_API_BASE": platform.URL, "WXKF_CURSOR_FILE": filepath.Join(t.TempDir(), "cursor")}
	pull := func() string {
		var out bytes.Buffer
		if err := run(t.Context(), func(name string) string { return env[name] }, &out); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	for i := range 2500 { // three pages
		say(fmt.Sprint("message ", i))
	}
	if got := strings.Count(pull(), "message "); got != 2500 {
		t.Errorf("got %d messages, want 2500", got)
	}
	if got := pull(); got != "" {
		t.Errorf("again: got %s, want nothing", got)
	}
	if _, err := sim.Inject(account.OpenKfID, []byte(`{"msgid":"x","msgtype":"hologram","hologram":{"depth":3}}`)); err != nil {
		t.Fatal(err)
	}
	say("再见")
	if got := pull(); !strings.Contains(got, `not understood: {"msgid":"x"`) || !strings.Contains(got, ": 再见\n") {
		t.Errorf("then: got %s", got)
	}
}
