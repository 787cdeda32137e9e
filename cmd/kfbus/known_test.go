package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestMisspeltVariables: a service says which of its variables nothing reads. Those of other modes are no mistake.
func TestMisspeltVariables(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("CANARY"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{
		"KF_CORP_ID": "ww1", "KF_TOKENKEEPER_SECRET_FILE": secret, "KF_TOKEN_SEAL": "plain", "KF_CREDENTIAL": "kf", "KF_TOPOLOGY_REPLICAS": "3",
		"KF_CORPS": "a", "KF_CORP_A_CALLBACK_TOKEN_FILE": secret, // of the ingress
		"KF_SENDR_POST_TIMEOUT": "CANARY", "KF_TOKENKEEPER_CREDENTIAL_NAME": "CANARY",
		"KF_NATS_URL": "nats://127.0.0.1:1", "KF_ADMIN_ADDR": "256.0.0.1:1", // so that it ends
	} {
		t.Setenv(name, value)
	}
	_, out, errs := kfbus(t, "tokenkeeper")
	for _, want := range []string{`"variable":"KF_SENDR_POST_TIMEOUT","did_you_mean":"KF_SENDER_POST_TIMEOUT"`, `"variable":"KF_TOKENKEEPER_CREDENTIAL_NAME"`} {
		if !strings.Contains(errs, want) {
			t.Errorf("got no %s in:\n%s", want, errs)
		}
	}
	for _, name := range []string{"KF_CREDENTIAL", "KF_TOPOLOGY_REPLICAS", "KF_CORPS", "KF_CORP_A_CALLBACK_TOKEN_FILE", "KF_TOKENKEEPER_SECRET_FILE"} {
		if strings.Contains(errs, `"variable":"`+name+`"`) {
			t.Errorf("%s is said to be unknown", name)
		}
	}
	if strings.Contains(out+errs, "CANARY") {
		t.Errorf("a value is in:\n%s", errs)
	}
}
