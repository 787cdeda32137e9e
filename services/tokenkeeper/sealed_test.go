package tokenkeeper

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// key is a pair of xkeys.
type key struct {
	private service.Secret
	public  string
}

func newKey(t testing.TB) (k key) {
	t.Helper()
	var err error
	if k.private, k.public, err = tokens.NewSealKey(); err != nil {
		t.Fatal(err)
	}
	return k
}

// seal lets processes that start from now on seal by this key to one new reader, whose form is returned.
func (r *rig) seal(keeper key) tokens.Form {
	r.t.Helper()
	own := newKey(r.t)
	r.sealing = tokens.Sealing{Seal: tokens.SealXkey, SealKey: keeper.private, Readers: []string{"syncer=" + own.public}}
	reader, err := tokens.Opening{OpenKey: own.private, Keeper: []string{keeper.public}}.Form(corpID, "kf")
	if err != nil {
		r.t.Fatal(err)
	}
	return reader
}

// opened is the bucket's token as the reader has it.
func (r *rig) opened(reader tokens.Form) tokens.Value {
	r.t.Helper()
	e, err := r.bus.Read(testkit.Context(r.t), events.BucketTokens, reader.Key())
	if err != nil {
		r.t.Fatal(err)
	}
	v, _ := reader.Decode(e.Value)
	return v
}

// 5.11: what is planted is overwritten, and neither the tokenkeepers nor their readers ever use it.
func TestPlantedTokensAreOverwritten(t *testing.T) {
	r := newRig(t, kfsim.Personality{})
	reader := r.seal(newKey(t))
	p := r.start()
	r.ready(p)
	first := r.opened(reader)
	if first.Token.IsZero() {
		t.Fatal("the reader cannot open the token")
	}
	plain := tokens.Plain(corpID, "kf")
	stolen, err := tokens.Sealing{Seal: tokens.SealXkey, SealKey: newKey(t).private, Readers: r.sealing.Readers}.Form(corpID, "kf")
	if err != nil {
		t.Fatal(err)
	}
	for name, form := range map[string]tokens.Form{"plain": plain, "sealed by another": stolen} {
		raw, err := form.Encode(tokens.Value{Token: service.NewSecret("planted"), Hash: tokens.Hash("planted"), Generation: first.Generation + 1000})
		if err != nil {
			t.Fatal(err)
		}
		kvPut(t, r, raw)
		testkit.Eventually(t, name+" to be overwritten", func() bool { return r.opened(reader).Hash == first.Hash })
	}
	e, err := r.bus.Read(testkit.Context(t), events.BucketTokens, reader.Key())
	if err != nil {
		t.Fatal(err)
	}
	var entry events.AccessToken
	if err := json.Unmarshal(e.Value, &entry); err != nil {
		t.Fatal(err)
	}
	entry.Sealed[1].Box[30] ^= 1 // the reader's; the tokenkeeper's own stays good
	spoiled, err := json.Marshal(entry)
	if err != nil {
		t.Fatal(err)
	}
	kvPut(t, r, spoiled)
	testkit.Eventually(t, "a spoiled box to be repaired", func() bool { return r.opened(reader).Hash == first.Hash })
	second := r.start()
	r.ready(second)
	if got := r.sim.Calls("gettoken"); got != 1 {
		t.Errorf("got %d calls of gettoken, want 1: a planted token costs none, and a second replica takes over what the first sealed", got)
	}
	if !strings.Contains(r.logs.String(), "is not the tokenkeeper's") {
		t.Error("the log says nothing of it")
	}
}

// From plain to sealed, to another reader, and to another key of the keeper: each start writes the new form by itself, and
// the token stays in use.
func TestAnotherFormIsWrittenByItself(t *testing.T) {
	r := newRig(t, kfsim.Personality{})
	p := r.start()
	r.ready(p)
	before, _ := r.entry()
	api, err := kfapi.New(kfapi.Config{BaseURL: r.url})
	if err != nil {
		t.Fatal(err)
	}
	one, other := newKey(t), newKey(t)
	for _, step := range []struct {
		name string
		key  key
	}{{"from plain to sealed", one}, {"another reader", one}, {"another key", other}} {
		p.stop(t)
		reader := r.seal(step.key)
		p = r.start()
		testkit.Eventually(t, step.name, func() bool { return !r.opened(reader).Token.IsZero() })
		v := r.opened(reader)
		if v.Generation < before.Generation {
			t.Errorf("%s: generation %d after %d", step.name, v.Generation, before.Generation)
		}
		before = v
		if err := call(api)(testkit.Context(t), v.Token.Reveal()); err != nil {
			t.Errorf("%s: the token does not work: %v", step.name, err)
		}
	}
	if got := r.sim.Calls("gettoken"); got != 3 {
		t.Errorf("got %d calls of gettoken, want 3: one at the start, one when sealing begins, one when the key changes", got)
	}
}

// Shows 3: what a corp's two apps and an official account have differs, and a report of one touches no other.
func TestTwoAppsAndAnOfficialAccountSideBySide(t *testing.T) {
	r := newRig(t, kfsim.Personality{})
	const twoApps = "wwfedcba9876543210"
	if _, err := r.sim.AddCorp(kfsim.Corp{CorpID: twoApps, Secrets: []string{"second", "third"}}); err != nil {
		t.Fatal(err)
	}
	oa, err := r.sim.AddOfficialAccount(kfsim.OfficialAccount{})
	if err != nil {
		t.Fatal(err)
	}
	all := []Credential{
		{Corp: twoApps, Name: "kf", Secret: service.NewSecret("second")},
		{Corp: twoApps, Name: "app", Secret: service.NewSecret("third")},
		Named{ID: oa.AppID, Kind: KindStable, Secret: service.NewSecret(oa.Secret)}.Of("shop"),
		Named{ID: oa.AppID, Kind: KindOfficial, Secret: service.NewSecret(oa.Secret)}.Of("old"),
	}
	r.ready(r.startWith(all))
	r.startWith(all) // a second replica changes nothing
	read := func(c Credential) tokens.Value {
		t.Helper()
		f := tokens.Plain(c.Corp, c.Name)
		e, err := r.bus.Read(testkit.Context(t), events.BucketTokens, f.Key())
		if err != nil {
			t.Fatal(err)
		}
		v, err := f.Decode(e.Value)
		if err != nil {
			t.Fatalf("%s: %v", f.Key(), err)
		}
		return v
	}
	first, seen := map[string]tokens.Value{}, map[string]bool{}
	for _, c := range all {
		v := read(c)
		first[c.Name], seen[v.Hash] = v, true
	}
	if len(seen) != len(all) {
		t.Fatalf("got %d different tokens of %d credentials", len(seen), len(all))
	}
	for _, n := range []string{"shop", "old"} {
		if !r.sim.OATokenValid(first[n].Token.Reveal()) {
			t.Errorf("%s: the platform does not know the token", n)
		}
	}
	api, err := kfapi.New(kfapi.Config{BaseURL: r.url})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []string{"kf", "app"} {
		if err := call(api)(testkit.Context(t), first[n].Token.Reveal()); err != nil {
			t.Errorf("%s: %v", n, err)
		}
	}
	calls := func() [3]int {
		return [3]int{r.sim.Calls("gettoken"), r.sim.Calls("token"), r.sim.Calls("stable_token")}
	}
	before := calls()
	r.suspectOf(all[3], first["old"])
	testkit.Eventually(t, "a new token of the one that was reported", func() bool { return read(all[3]).Generation > first["old"].Generation })
	for _, c := range all[:3] {
		if v := read(c); v.Hash != first[c.Name].Hash || v.Generation != first[c.Name].Generation {
			t.Errorf("%s: got another token, and nobody reported it", c.Name)
		}
	}
	if after := calls(); before != [3]int{2, 1, 1} || after != [3]int{2, 2, 1} {
		t.Errorf("calls of gettoken, token and stable_token: %v, after the report %v; want [2 1 1] and [2 2 1]", before, after)
	}
	t.Logf("%d credentials, %d different tokens; calls of gettoken, token, stable_token: %v, after one report %v", len(all), len(seen), before, calls())
}
