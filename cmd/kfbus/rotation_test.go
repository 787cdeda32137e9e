package main

import (
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/kfcrypto"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// vault are a corp's secrets as an operator keeps them: the files are replaced, the processes run on.
type vault struct {
	*rig
	dir string
}

func (f vault) path(name string) string { return filepath.Join(f.dir, name) }

// put replaces a file as Kubernetes does: at once.
func (f vault) put(name, secret string) {
	f.Helper()
	next := f.path(name + ".next")
	if err := os.WriteFile(next, []byte(secret+"\n"), 0o600); err != nil {
		f.Fatal(err)
	}
	if err := os.Rename(next, f.path(name)); err != nil {
		f.Fatal(err)
	}
}

// env names the files, and takes the variables away that the rig sets.
func (f vault) env(names map[string]string) (env []string) {
	for variable, name := range names {
		env = append(env, variable+"=", variable+"_FILE="+f.path(name))
	}
	return env
}

// TestRotationUnderLoad changes the corpsecret, the Token and the EncodingAESKey, twice, as docs/operations.md says, while 100
// callbacks a second come in and customers write. Nothing is refused or lost, and no process is restarted.
func TestRotationUnderLoad(t *testing.T) {
	const round = 600 // callbacks, at 100 a second
	r := newRig(t)
	f := vault{r, t.TempDir()}
	corp := &r.world.corp
	for name, secret := range map[string]string{"token": corp.CallbackToken, "key": corp.EncodingAESKey, "token.old": corp.CallbackToken, "key.old": corp.EncodingAESKey, "secret": corp.Secrets[0]} {
		f.put(name, secret)
	}
	in := r.spawn("ingress", f.env(map[string]string{"KF_INGRESS_CALLBACK_TOKEN": "token", "KF_INGRESS_ENCODING_AES_KEY": "key",
		"KF_INGRESS_OLD_CALLBACK_TOKEN": "token.old", "KF_INGRESS_OLD_ENCODING_AES_KEY": "key.old"})...)
	keeper := r.spawn("tokenkeeper", append(f.env(map[string]string{"KF_TOKENKEEPER_SECRET": "secret"}), "KF_TOKENKEEPER_MIN_DISTANCE=1s")...)
	syncer := r.spawn("syncer", "KF_SYNCER_SWEEP=1h", "KF_SYNCER_ACCOUNT_LIST=1h") // so that what a lost callback announced stays lost
	r.ready(in, keeper, syncer)
	c := r.caller()
	for n := 1; n <= 2; n++ {
		token, key, secret := fmt.Sprintf("Rotated%dToken", n), kfcrypto.GenerateKey().Reveal(), fmt.Sprintf("rotated corpsecret number %d", n)
		c.storm(100, round, func(i int) {
			if i%10 == 0 {
				r.says(r.customer(), n*round+i, 1)
			}
			switch i {
			case 100: // the new pair in its place; the present one is the old one's already
				f.put("token", token)
				f.put("key", key)
			case 150: // in the console; the old secret is wrong from now on, and the token that it brought is dead
				if err := r.sim.UpdateCorp(corp.CorpID, func(c *kfsim.Corp) error { c.Secrets = []string{secret}; return nil }); err != nil {
					t.Error(err)
				}
				if _, err := r.sim.RevokeTokens(corp.CorpID); err != nil {
					t.Error(err)
				}
			case 250:
				f.put("secret", secret)
			case 350: // in the console; two seconds after the files, which are read again after one
				codec, err := kfcrypto.New(token, key, corp.CorpID)
				if err != nil {
					t.Error(err)
					return
				}
				c.codec = codec
				if err := r.sim.SetCallback(kfsim.CallbackSettings{CorpID: corp.CorpID, CallbackToken: token, EncodingAESKey: key}); err != nil {
					t.Error(err)
				}
			case 590: // "a day later"
				f.put("token.old", token)
				f.put("key.old", key)
			}
		})
		testkit.Eventually(t, "a token by the new secret", func() bool { return r.sim.Answers("gettoken", 0) == 1+n })
	}
	if n := c.count(http.StatusOK); n != 2*round {
		t.Errorf("%d of %d callbacks were answered 200, want all", n, 2*round)
	}
	c.check("rotation")
	r.checkInbound()
	r.attemptsAre200Or503()
	t.Logf("gettoken: %d tokens, %d times the secret was the old one", r.sim.Answers("gettoken", 0), r.sim.Answers("gettoken", 40001))
	for _, p := range []*child{in, keeper, syncer} {
		select {
		case <-p.done:
			t.Errorf("%s ended", p.name)
		default:
		}
	}
}
