package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/events"
)

// sealKey is a pair of xkeys, the private one in a file too.
type sealKey struct{ private, public, file string }

func newSealKey(t *testing.T) (k sealKey) {
	t.Helper()
	private, public, err := tokens.NewSealKey()
	if err != nil {
		t.Fatal(err)
	}
	k.private, k.public = private.Reveal(), public
	k.file = filepath.Join(t.TempDir(), "xkey")
	if err := os.WriteFile(k.file, []byte(k.private+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return k
}

// sealedEnv lets the services of `dev` seal their tokens. The reader is all of them, and you.
func sealedEnv(t *testing.T) (keeper, reader sealKey) {
	t.Helper()
	keeper, reader = newSealKey(t), newSealKey(t)
	for name, value := range map[string]string{"KF_TOKEN_SEAL": tokens.SealXkey, "KF_TOKEN_SEAL_KEY_FILE": keeper.file,
		"KF_TOKEN_READERS": "all=" + reader.public, "KF_TOKEN_OPEN_KEY_FILE": reader.file, "KF_TOKEN_KEEPER": keeper.public} {
		t.Setenv(name, value)
	}
	return keeper, reader
}

// rawToken waits for the entry of the bucket.
func (s *stack) rawToken() (raw []byte) {
	s.Helper()
	testkit.Eventually(s.T, "an access token", func() bool {
		e, err := s.admin.Read(s.Context(), events.BucketTokens, events.TokenKey(s.corp(), "kf"))
		raw = e.Value
		return err == nil && len(raw) > 0
	})
	return raw
}

// TestSealedTokensOnTheStack: the whole system works on sealed tokens, and the bucket shows none.
func TestSealedTokensOnTheStack(t *testing.T) {
	keeper, reader := sealedEnv(t)
	s := startStack(t)
	next := s.subscribe("kf.message." + s.corp() + ".*.text.>")
	s.say("你好")
	next()
	if raw := s.rawToken(); bytes.Contains(raw, []byte(`"token":`)) || !bytes.Contains(raw, []byte(reader.public)) {
		t.Errorf("the bucket has %s", raw)
	}
	t.Run("Go", func(t *testing.T) {
		env := []string{"KF_NATS_URL=" + s.urls.nats, "WXKF_CORP_ID=" + s.corp()}
		if l := line(t, example(t, "token_from_bus", env...)); !strings.HasPrefix(l, "generation ") {
			t.Errorf("got %q", l)
		}
		if l := line(t, example(t, "token_from_bus", append(env, "KF_TOKEN_KEEPER="+reader.public)...)); !strings.HasPrefix(l, "no token") {
			t.Errorf("with another keeper's key: got %q", l)
		}
	})
	for _, language := range []struct {
		name, program string
		interpreter   func(*testing.T) string
	}{
		{"Python", "../../examples/python/open_token.py", func(t *testing.T) string { return python(t, "nacl") }},
		{"Node", "../../examples/node/open_token.mjs", node},
	} {
		t.Run(language.name, func(t *testing.T) {
			interpreter := language.interpreter(t)
			for _, c := range []struct{ name, keeper, credential, want string }{
				{"ours", keeper.public, "kf", "generation "},
				{"another keeper", reader.public, "kf", "not sealed by this tokenkeeper"},
				{"another credential", keeper.public, "other", "another credential"},
			} {
				cmd := exec.CommandContext(t.Context(), interpreter, language.program, s.corp(), c.credential)
				cmd.Env = append(os.Environ(), "KF_TOKEN_KEEPER="+c.keeper)
				cmd.Stdin = bytes.NewReader(s.rawToken())
				out, err := cmd.CombinedOutput()
				if (err == nil) != (c.name == "ours") || !strings.Contains(string(out), c.want) {
					t.Errorf("%s: %v, %s", c.name, err, out)
				}
			}
		})
	}
}

// node finds an interpreter that has nkeys.js, or skips.
func node(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat("../../examples/node/node_modules/nkeys.js")
	}
	if err != nil {
		t.Skipf("SKIP: %v; run npm install --prefix examples/node", err)
	}
	return path
}
