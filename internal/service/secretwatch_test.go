package service

import (
	"context"
	"os"
	"testing"
	"testing/synctest"

	"github.com/rs/zerolog"
)

func TestWatchSecretsTellsOfRotationAndTrouble(t *testing.T) {
	path := fileWith(t, canary+"1")
	t.Setenv("KF_KEY_FILE", path)
	t.Setenv("KF_OTHER", canary)
	synctest.Test(t, func(t *testing.T) {
		var cfg struct {
			Key   Secret
			Other Secret // from the environment: not watched
			Unset Secret
		}
		if err := Load("KF", &cfg); err != nil {
			t.Fatal(err)
		}
		var out logBuffer
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		part := WatchSecrets(zerolog.New(&out), "KF", &cfg)
		go func() { ended <- part.Run(ctx) }()
		look := func() string {
			before := len(out.String())
			pass(watchEvery) // of the bubble
			synctest.Wait()
			return out.String()[before:]
		}
		expect := func(name, got, want string) {
			t.Helper()
			if got != want {
				t.Errorf("%s: got %q, want %q", name, got, want)
			}
			hides(t, name, got)
		}
		const changed = `{"level":"info","variable":"KF_KEY_FILE","changed":true,"message":"secret file read again"}` + "\n"
		const same = `{"level":"info","variable":"KF_KEY_FILE","changed":false,"message":"secret file read again"}` + "\n"

		expect("nothing happened", look(), "")
		writeFile(t, path, canary+"2")
		expect("changed", look(), changed)
		expect("told once", look(), "")
		writeFile(t, path, canary+"3")
		pass(rereadAfter)
		if got := cfg.Key.Reveal(); got != canary+"3" {
			t.Errorf("revealed: got %q, want the third value", got)
		}
		expect("changed, and revealed before the look", look(), changed)

		must(t, os.Remove(path))
		trouble := look()
		if !out.has(`"level":"error"`, "KF_KEY_FILE", "no such file", "the last value stays in use") {
			t.Errorf("removed: got %q, want an error with the variable and the reason", trouble)
		}
		expect("trouble is told once", look(), "")
		writeFile(t, path, canary+"3")
		expect("back with the same value", look(), same)

		cancel()
		if err := <-ended; err != nil {
			t.Errorf("stopped: got %v, want nil", err)
		}
	})
}

func TestWatchSecretsRefusesWhatIsNoConfiguration(t *testing.T) {
	if err := WatchSecrets(zerolog.Nop(), "KF", 7).Run(t.Context()); err == nil {
		t.Error("got nil, want an error")
	}
}
