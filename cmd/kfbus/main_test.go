package main

import (
	"bytes"
	"context"
	"os"
	"strings"
	"testing"
)

// TestMain lets this test binary be kfbus itself, so that fault tests can run
// services as processes of their own and kill them for real; and a broker too.
func TestMain(m *testing.M) {
	if conf := os.Getenv(brokerEnv); conf != "" {
		os.Exit(runBroker(conf))
	}
	if os.Getenv(brokerDir) != "" {
		broker()
	}
	if os.Getenv(leakEnv) != "" {
		leak()
	}
	if args := os.Getenv("KFBUS_TEST_ARGS"); args != "" {
		if err := os.Unsetenv("KFBUS_TEST_ARGS"); err != nil {
			panic(err)
		}
		os.Exit(run(context.Background(), strings.Fields(args), os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// kfbus runs one command in this process.
func kfbus(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(t.Context(), args, strings.NewReader(""), &o, &e)
	return code, o.String(), e.String()
}

func TestHelpAndUsage(t *testing.T) {
	for _, c := range []struct {
		name string
		args []string
		code int
		want string
	}{
		{"help", []string{"--help"}, 0, "kfbus dev"},
		{"a service's variables", []string{"ingress", "--help"}, 0, "KF_INGRESS_ENCODING_AES_KEY_FILE"},
		{"the tokenkeeper's", []string{"tokenkeeper", "--help"}, 0, "KF_TOKENKEEPER_SECRET_FILE"},
		{"the topology's", []string{"topology", "--help"}, 0, "KF_TOPOLOGY_COMMAND_LANES"},
		{"version", []string{"version"}, 0, "kfbus "},
		{"version as JSON", []string{"version", "-o", "json"}, 0, `"go":"go1.`},
		{"keygen", []string{"keygen"}, 0, "EncodingAESKey:"},
		{"a good key", []string{"keygen", "--check", "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"}, 0, "ok"},
		{"a bad key", []string{"keygen", "--check", "short"}, 2, "43"},
		{"the callback tools", []string{"callback", "--help"}, 0, "say whether a captured callback is good"},
		{"the doctor", []string{"doctor", "ingress", "--help"}, 0, "asks the public URL as the console does"},
		{"users without keys", []string{"nats-config"}, 2, "--seeds"},
		{"half a team", []string{"nats-config", "--team", "orders"}, 2, "CORP/OPEN_KFID"},
		{"a key of nobody", []string{"nats-config", "--public", "nobody=U"}, 2, "no such identity"},
		{"unknown flag", []string{"dev", "--nope"}, 2, "--nope"},
		{"unknown command", []string{"bogus"}, 2, "bogus"},
		{"nothing", nil, 0, "kfbus dev"},
		{"unknown format", []string{"version", "-o", "xml"}, 2, "text or json"},
		{"send without arguments", []string{"send"}, 2, "OPEN_KFID"},
		{"send without a corp", []string{"send", "wk1", "wm1", "hi"}, 2, "--corp"},
		{"send with a body that is none", []string{"send", "wk1", "wm1", "--body", "{", "--corp", "ww1"}, 2, "--body"},
		{"no broker", []string{"topology", "check", "--nats", "nats://127.0.0.1:1"}, 3, "kfbus dev"},
		{"no service there", []string{"health", "http://127.0.0.1:1/readyz"}, 3, "127.0.0.1:1"},
		{"a tokenkeeper that nobody told how to write tokens", []string{"tokenkeeper"}, 2, "KF_TOKEN_SEAL is required"},
		{"the keys of tokens", []string{"token", "seal-key", "--help"}, 0, "new"},
		{"a service without its secrets", []string{"ingress"}, 2, "KF_CORP_ID is required"},
	} {
		code, out, errs := kfbus(t, c.args...)
		if code != c.code || !strings.Contains(out+errs, c.want) {
			t.Errorf("%s: code %d, want %d and %q in:\n%s%s", c.name, code, c.code, c.want, out, errs)
		}
	}
}
