package main

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kfbus/kfbus/pkg/kfsim"
)

func TestGetToken(t *testing.T) {
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
	env := map[string]string{"WXKF_CORP_ID": corp.CorpID, "WXKF_APP_SECRET": corp.Secrets[0], "WXKF_API_BASE": platform.URL}
	get := func(name string) string { return env[name] }
	var out bytes.Buffer
	if err := run(t.Context(), get, &out); err != nil || !strings.HasSuffix(out.String(), " for 2h0m0s\n") {
		t.Errorf("got %q, %v", out.String(), err)
	}
	env["WXKF_APP_SECRET"] = "wrong"
	if err := run(t.Context(), get, &out); err == nil || !strings.Contains(err.Error(), "40001") || strings.Contains(err.Error(), "wrong") {
		t.Errorf("a wrong secret: got %v, want 40001 without the secret", err)
	}
	delete(env, "WXKF_CORP_ID")
	if err := run(t.Context(), get, &out); err == nil || !strings.Contains(err.Error(), "WXKF_CORP_ID") {
		t.Errorf("no corp id: got %v", err)
	}
}
