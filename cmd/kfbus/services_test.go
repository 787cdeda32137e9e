package main

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kfbus/kfbus/pkg/kfcrypto"
)

// TestIngressTakesBothFormsOfSettings: it gets as far as its port, which is taken.
func TestIngressTakesBothFormsOfSettings(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	key := kfcrypto.GenerateKey().Reveal()
	file := func(secret string) string {
		path := filepath.Join(t.TempDir(), "secret")
		if err := os.WriteFile(path, []byte(secret), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, c := range []struct {
		name string
		env  map[string]string
		want string
	}{
		{"one corp", map[string]string{"KF_CORP_ID": "ww1", "KF_INGRESS_CALLBACK_TOKEN": "abc", "KF_INGRESS_ENCODING_AES_KEY": key}, "address already in use"},
		{"two corps", map[string]string{"KF_CORPS": "a,b", "KF_CORP_A_ID": "ww1", "KF_CORP_A_CALLBACK_TOKEN": "abc", "KF_CORP_A_ENCODING_AES_KEY": key,
			"KF_CORP_B_ID": "ww2", "KF_CORP_B_CALLBACK_TOKEN": "abd", "KF_CORP_B_ENCODING_AES_KEY": key}, "address already in use"},
		{"a corp without an id", map[string]string{"KF_CORPS": "a", "KF_CORP_A_CALLBACK_TOKEN": "abc", "KF_CORP_A_ENCODING_AES_KEY": key}, "KF_CORP_A_ID is required"},
		{"two corps whose variables are the same", map[string]string{"KF_CORPS": "shop,shop-old", "KF_CORP_SHOP_ID": "ww1", "KF_CORP_SHOP_CALLBACK_TOKEN_FILE": file("abc"),
			"KF_CORP_SHOP_ENCODING_AES_KEY_FILE": file(key), "KF_CORP_SHOP_OLD_ID": "ww2", "KF_CORP_SHOP_OLD_CALLBACK_TOKEN_FILE": file("abd"),
			"KF_CORP_SHOP_OLD_ENCODING_AES_KEY_FILE": file(key)}, "KF_CORPS has shop and shop-old, and KF_CORP_SHOP_OLD_CALLBACK_TOKEN would be of both"},
		{"a name twice", map[string]string{"KF_CORPS": "a,a"}, "KF_CORP_A_ID would be of both"},
		{"a space after the comma", map[string]string{"KF_CORPS": "a, b"}, `KF_CORPS has the name " b"`},
		{"a comma at the end", map[string]string{"KF_CORPS": "a,"}, `KF_CORPS has the name ""`},
	} {
		t.Run(c.name, func(t *testing.T) {
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			t.Setenv("KF_NATS_URL", "nats://127.0.0.1:1")
			t.Setenv("KF_ADMIN_ADDR", "127.0.0.1:0")
			t.Setenv("KF_LAME_DUCK", "0s")
			t.Setenv("KF_INGRESS_ADDR", l.Addr().String())
			code, out, errs := kfbus(t, "ingress")
			if code != 2 || !strings.Contains(out+errs, c.want) {
				t.Errorf("code %d, want 2 and %q in:\n%s%s", code, c.want, out, errs)
			}
		})
	}
}

// TestTokenkeeperTakesBothFormsOfSettings: it gets as far as its admin port, which is taken.
func TestTokenkeeperTakesBothFormsOfSettings(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, c := range []struct {
		name string
		env  map[string]string
		code int
		want string
	}{
		{"one", map[string]string{"KF_CORP_ID": "ww1", "KF_TOKENKEEPER_SECRET": "CANARY"}, 1, "address already in use"},
		{"several", map[string]string{"KF_TOKENKEEPER_CREDENTIALS": "kf,shop", "KF_CREDENTIAL_KF_ID": "ww1", "KF_CREDENTIAL_KF_SECRET": "CANARY",
			"KF_CREDENTIAL_SHOP_ID": "wx1", "KF_CREDENTIAL_SHOP_KIND": "stable", "KF_CREDENTIAL_SHOP_SECRET": "CANARY"}, 1, "address already in use"},
		{"one without a secret", map[string]string{"KF_CORP_ID": "ww1"}, 2, "KF_TOKENKEEPER_SECRET is required"},
		{"one of several without a secret", map[string]string{"KF_TOKENKEEPER_CREDENTIALS": "kf", "KF_CREDENTIAL_KF_ID": "ww1"}, 2, "KF_CREDENTIAL_KF_SECRET is required"},
		{"one of several without an id", map[string]string{"KF_TOKENKEEPER_CREDENTIALS": "kf", "KF_CREDENTIAL_KF_SECRET": "CANARY"}, 2, "KF_CREDENTIAL_KF_ID is required"},
		{"a kind that is none", map[string]string{"KF_TOKENKEEPER_CREDENTIALS": "kf", "KF_CREDENTIAL_KF_ID": "ww1", "KF_CREDENTIAL_KF_KIND": "app", "KF_CREDENTIAL_KF_SECRET": "CANARY"}, 2, "corp, official or stable"},
		{"a name that is none", map[string]string{"KF_TOKENKEEPER_CREDENTIALS": "KF"}, 2, `KF_TOKENKEEPER_CREDENTIALS has the name "KF"`},
		{"a name twice", map[string]string{"KF_TOKENKEEPER_CREDENTIALS": "kf,kf"}, 2, "KF_CREDENTIAL_KF_ID would be of both"},
		{"neither sealed nor plain", map[string]string{"KF_CORP_ID": "ww1", "KF_TOKENKEEPER_SECRET": "CANARY", "KF_TOKEN_SEAL": "yes"}, 2, "KF_TOKEN_SEAL must be xkey or plain"},
		{"sealed for nobody", map[string]string{"KF_CORP_ID": "ww1", "KF_TOKENKEEPER_SECRET": "CANARY", "KF_TOKEN_SEAL": "xkey"}, 2, "KF_TOKEN_READERS"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("KF_TOKEN_SEAL", "plain")
			for name, value := range c.env {
				t.Setenv(name, value)
			}
			t.Setenv("KF_NATS_URL", "nats://127.0.0.1:1")
			t.Setenv("KF_ADMIN_ADDR", l.Addr().String())
			t.Setenv("KF_LAME_DUCK", "0s")
			code, out, errs := kfbus(t, "tokenkeeper")
			if code != c.code || !strings.Contains(out+errs, c.want) || strings.Contains(out+errs, "CANARY") {
				t.Errorf("code %d, want %d and %q in:\n%s%s", code, c.code, c.want, out, errs)
			}
		})
	}
}
