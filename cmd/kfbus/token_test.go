package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/events"
)

// lineOf reads one line of -o json.
func lineOf(t *testing.T, out string) (l tokenLine) {
	t.Helper()
	if err := json.Unmarshal([]byte(out), &l); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	return l
}

func TestTokenCommands(t *testing.T) {
	keeper, reader := sealedEnv(t)
	s := startStack(t)
	s.rawToken()
	form, err := tokens.Opening{OpenKey: service.NewSecret(reader.private), Keeper: []string{keeper.public}}.Form(s.corp(), "kf")
	if err != nil {
		t.Fatal(err)
	}
	v, err := form.Decode(s.rawToken())
	if err != nil {
		t.Fatal(err)
	}
	secret := v.Token.Reveal()
	ask := func(args ...string) (int, string, string) {
		t.Helper()
		return kfbus(t, append(append([]string{"token"}, args...), "--nats", s.urls.nats)...)
	}
	var shown strings.Builder
	status := func(wantCode int) tokenLine {
		t.Helper()
		code, out, errs := ask("status", "-o", "json")
		shown.WriteString(out + errs)
		if code != wantCode {
			t.Errorf("status: code %d, want %d\n%s%s", code, wantCode, out, errs)
		}
		return lineOf(t, out)
	}

	l := status(0)
	if l.Key != events.TokenKey(s.corp(), "kf") || l.Hash != v.Hash || l.Form != "sealed" || strings.Join(l.Readers, " ") != "tokenkeeper all" || l.Opens == nil || !*l.Opens || l.Problem != "" {
		t.Errorf("got %+v", l)
	}
	code, out, errs := ask("status")
	shown.WriteString(out + errs)
	if code != 0 || !strings.Contains(out, "sealed for tokenkeeper, all; opens with your key") {
		t.Errorf("code %d: %s%s", code, out, errs)
	}
	if code, out, errs := ask("status", "--credential", "nope"); code != 3 || !strings.Contains(errs, "there is no access token") {
		t.Errorf("of a credential that is not: code %d, %s%s", code, out, errs)
	}
	if code, out, errs := ask("reveal", "--corp", s.corp()); code != 0 || out != secret+"\n" {
		t.Errorf("reveal: code %d, got %q, %s", code, out, errs)
	}
	if code, out, errs := ask("reveal", "--corp", s.corp(), "--credential", "nope"); code != 3 || out != "" {
		t.Errorf("reveal of none: code %d, got %q, %s", code, out, errs)
	}
	t.Setenv("KF_CORP_ID", "")
	if code, out, errs := ask("reveal"); code != 2 || !strings.Contains(errs, "--corp") {
		t.Errorf("reveal without a corp: code %d, got %q, %s", code, out, errs)
	}

	t.Setenv("KF_TOKEN_KEEPER", reader.public) // not the tokenkeeper's
	if l := status(3); l.Opens == nil || *l.Opens || !strings.Contains(l.Problem, "KF_TOKEN_KEEPER") {
		t.Errorf("with another keeper's key: got %+v", l)
	}
	if code, out, errs := ask("reveal", "--corp", s.corp()); code != 1 || out != "" || !strings.Contains(errs, "KF_TOKEN_KEEPER") {
		t.Errorf("reveal with another keeper's key: code %d, got %q, %s", code, out, errs)
	}
	t.Setenv("KF_TOKEN_KEEPER", "")
	t.Setenv("KF_TOKEN_OPEN_KEY_FILE", "")
	if l := status(0); l.Opens != nil || l.Hash != v.Hash {
		t.Errorf("without a key: got %+v", l)
	}
	if code, out, errs := ask("reveal", "--corp", s.corp()); code != 1 || out != "" || !strings.Contains(errs, "sealed") {
		t.Errorf("reveal without a key: code %d, got %q, %s", code, out, errs)
	}
	if strings.Contains(shown.String(), secret) {
		t.Errorf("status shows the token: %s", shown.String())
	}
}

// TestTokenWatch sees a plain token, its next, and its end, and never shows one.
func TestTokenWatch(t *testing.T) {
	b, server := testkit.Bus(t)
	plain := tokens.Plain("ww1", "kf")
	put := func(generation uint64, token string) {
		t.Helper()
		at := time.Now()
		raw, err := plain.Encode(tokens.Value{Token: service.NewSecret(token), Hash: tokens.Hash(token), Generation: generation, Obtained: at, Expires: at.Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Put(testkit.Context(t), events.BucketTokens, plain.Key(), raw, 0); err != nil {
			t.Fatal(err)
		}
	}
	put(7, "CANARY-one")
	ctx, cancel := context.WithCancel(testkit.Context(t))
	var out, errs lockedBuffer
	done := make(chan int)
	go func() {
		done <- run(ctx, []string{"token", "watch", "--nats", server.URL()}, strings.NewReader(""), &out, &errs)
	}()
	sees := func(n int, words string) {
		t.Helper()
		testkit.Eventually(t, words, func() bool {
			lines := bytes.Split(bytes.TrimSpace(out.Bytes()), []byte("\n"))
			return len(lines) == n && bytes.Contains(lines[n-1], []byte(words))
		})
	}
	sees(1, "generation 7")
	put(8, "CANARY-two")
	sees(2, "ww1.kf  generation 8  sha256 "+tokens.Hash("CANARY-two"))
	if err := b.Put(ctx, events.BucketTokens, plain.Key(), []byte(`{"token":"CANARY-three"}`), 0); err != nil {
		t.Fatal(err)
	}
	sees(3, "the hash is not the token's")
	if err := b.Put(ctx, events.BucketTokens, plain.Key(), []byte("CANARY"), 0); err != nil {
		t.Fatal(err)
	}
	sees(4, "not the tokenkeeper's")
	kv, err := b.JS.KeyValue(ctx, events.BucketTokens)
	if err != nil {
		t.Fatal(err)
	}
	if err := kv.Delete(ctx, plain.Key()); err != nil {
		t.Fatal(err)
	}
	sees(5, "there is no entry")
	cancel()
	if code := <-done; code != 0 || strings.Contains(string(out.Bytes())+string(errs.Bytes()), "CANARY") {
		t.Errorf("code %d:\n%s%s", code, out.Bytes(), errs.Bytes())
	}
}

func TestSealKeyNew(t *testing.T) {
	code, out, errs := kfbus(t, "token", "seal-key", "new", "-o", "json")
	var made struct{ Private, Public string }
	if err := json.Unmarshal([]byte(out), &made); err != nil || code != 0 {
		t.Fatalf("code %d, %v: %s%s", code, err, out, errs)
	}
	if err := (tokens.Sealing{Seal: "xkey", SealKey: service.NewSecret(made.Private), Readers: []string{"me=" + made.Public}}).Validate(); err != nil {
		t.Errorf("what was made is refused: %v", err)
	}
	file := filepath.Join(t.TempDir(), "key")
	code, out, errs = kfbus(t, "token", "seal-key", "new", "--file", file)
	private, err := os.ReadFile(file)
	if err != nil || code != 0 || strings.Contains(out+errs, strings.TrimSpace(string(private))) || !strings.HasPrefix(out, "public:   X") {
		t.Errorf("code %d, %v: %s%s", code, err, out, errs)
	}
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the file's mode is %v, want 0600", info.Mode())
	}
	if code, _, errs := kfbus(t, "token", "seal-key", "new", "--file", file); code != 2 {
		t.Errorf("over a file that is there: code %d, %s", code, errs)
	}
}

// A terminal is a character device; a pipe, a file and a buffer are not.
func TestRevealAsksOnATerminal(t *testing.T) {
	tty, err := os.Open("/dev/null") // a character device as well
	if err != nil {
		t.Fatal(err)
	}
	defer tty.Close()
	var errs bytes.Buffer
	args := []string{"token", "reveal", "--corp", "ww1", "--nats", "nats://127.0.0.1:1"}
	if code := run(t.Context(), args, strings.NewReader(""), tty, &errs); code != 2 || !strings.Contains(errs.String(), "--yes") {
		t.Errorf("on a terminal: code %d, %s", code, errs.String())
	}
	if code := run(t.Context(), append(args, "--yes"), strings.NewReader(""), tty, &errs); code != 3 {
		t.Errorf("with --yes: code %d, want 3: it asks the broker, which is not there", code)
	}
}
