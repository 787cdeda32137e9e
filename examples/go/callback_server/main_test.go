package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/kfbus/kfbus/pkg/kfsim"
)

type lines chan string

func (l lines) Write(p []byte) (int, error) { l <- string(p); return len(p), nil }

// TestCallbackServer has the simulated platform check the URL, and deliver.
func TestCallbackServer(t *testing.T) {
	sim, err := kfsim.New(kfsim.Config{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sim.Close)
	corp, err := sim.AddCorp(kfsim.Corp{})
	if err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"WXKF_TOKEN": corp.CallbackToken, "WXKF_ENCODING_AES_KEY": corp.EncodingAESKey, "WXKF_CORP_ID": corp.CorpID}
	said := make(lines, 10)
	h, err := handler(func(name string) string { return env[name] }, said)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	if err := sim.SetCallback(kfsim.CallbackSettings{CallbackURL: server.URL + "/wx/kf/callback"}); err != nil {
		t.Fatal(err)
	}
	if err := sim.VerifyURL(t.Context(), corp.CorpID); err != nil {
		t.Errorf("the platform's check of the URL: %v", err)
	}
	account, err := sim.AddAccount(kfsim.Account{})
	if err != nil {
		t.Fatal(err)
	}
	customer, err := sim.AddCustomer(kfsim.Customer{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- sim.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	if _, err := sim.CustomerSays(account.OpenKfID, customer.ExternalUserID, "你好"); err != nil {
		t.Fatal(err)
	}
	select {
	case line := <-said:
		if !strings.Contains(line, "kf_msg_or_event") || !strings.Contains(line, account.OpenKfID) {
			t.Errorf("got %s", line)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("no callback in 10 s")
	}
	resp, err := http.Post(server.URL+"/callback?msg_signature=0&timestamp=1&nonce=2", "text/xml", strings.NewReader("<xml><Encrypt>AAAA</Encrypt></xml>"))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusForbidden {
		t.Errorf("a forged callback: got %d, want 403", resp.StatusCode)
	}
}
