package main

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/kfbus/kfbus/pkg/kfsim"
)

// badFor is how long the platform fails.
const badFor = 5 * time.Minute

// TestChaosPlatform: for five minutes three API calls in ten fail, in every way that the simulator knows and five minutes have
// room for (a block of an hour they have not), with ingress, tokenkeeper and two syncers as processes and real pauses.
func TestChaosPlatform(t *testing.T) {
	chaos(t)
	seed := seedGiven()
	t.Logf("seed %d", seed)
	r := newRig(t, func(c *kfsim.Config) { c.Seed = seed })
	r.addAccounts(3)
	r.ready(r.spawn("ingress"), r.spawn("tokenkeeper"))
	r.replicas(2, "syncer", "KF_SYNCER_PAGE_LIMIT=9", "KF_SYNCER_ACCOUNT_LIST=2s")
	r.says(r.customer(), 0, 1)
	r.checkInbound()
	faults := []kfsim.Fault{
		{Kind: kfsim.FaultLatency, Delay: 20 * time.Millisecond, Jitter: 200 * time.Millisecond}, {Kind: kfsim.FaultRefuse},
		{Kind: kfsim.FaultResetBefore}, {Kind: kfsim.FaultResetAfter}, {Kind: kfsim.FaultHTTP500Before}, {Kind: kfsim.FaultHTTP500After, Status: 502},
		{Kind: kfsim.FaultGarbageBefore}, {Kind: kfsim.FaultGarbageAfter}, {Kind: kfsim.FaultCutAfter}, {Kind: kfsim.FaultRedirect},
		{Kind: kfsim.FaultAcceptThenHang, Delay: 2 * time.Second}, {Kind: kfsim.FaultLateEffect, Delay: time.Second}, {Kind: kfsim.FaultErrCode, ErrCode: -1},
	}
	r.fail("gettoken", faults...)
	faults = append(faults, kfsim.Fault{Kind: kfsim.FaultRevokeToken})
	r.fail("kf/account/list", faults...)
	for _, kind := range []string{kfsim.FaultEmptyPage, kfsim.FaultSameCursor, kfsim.FaultNoCursor, kfsim.FaultUnknownItem, kfsim.FaultHostileItem, kfsim.FaultDuplicateItem} {
		faults = append(faults, kfsim.Fault{Kind: kind})
	}
	r.fail("kf/sync_msg", append(faults, kfsim.Fault{Kind: kfsim.FaultErrCode, ErrCode: 95007})...)
	for n := range 2 { // a minute each, in which nothing else can fail
		if _, err := r.sim.AddFault(kfsim.Fault{ID: fmt.Sprint("block-", n), Kind: kfsim.FaultBlockMinute, Path: "kf/sync_msg", After: 200 + 400*n, Count: 1}); err != nil {
			t.Fatal(err)
		}
	}
	watch := r.watchBlocks()
	before := map[string]int{}
	for _, path := range []string{"gettoken", "kf/account/list", "kf/sync_msg"} {
		before[path] = r.sim.Calls(path)
	}
	r.talk(badFor, 20)
	calls, struck, by, revoked := 0, map[string]int{}, map[string]int{}, 0
	for _, f := range r.sim.Faults() {
		struck[f.Path] += f.Struck
		by[f.Kind] += f.Struck
		if f.Kind == kfsim.FaultRevokeToken {
			revoked += f.Struck
		}
	}
	for path, n := range before {
		calls += r.sim.Calls(path) - n
		t.Logf("%s: %d calls in %v, %d struck", path, r.sim.Calls(path)-n, badFor, struck[path])
	}
	tokens, tokensStruck := r.sim.Calls("gettoken"), struck["gettoken"]
	t.Logf("%d calls, struck %v", calls, by)
	r.sim.RemoveFaults()
	r.talk(time.Second, 20)
	r.drained(3 * time.Minute)
	r.checkInbound()
	watch.check(t)
	t.Logf("gettoken: %d calls, %d of them failed, %d tokens were revoked", tokens, tokensStruck, revoked)
	if tokens > 1+revoked+tokensStruck {
		t.Errorf("%d calls of gettoken, want at most one, one for each of the %d revocations, and one for each of the %d that failed", tokens, revoked, tokensStruck)
	}
	for _, kind := range faults {
		if by[kind.Kind] == 0 {
			t.Errorf("%s never struck", kind.Kind)
		}
	}
}

// fail lets three calls of a path in ten fail, in one of these ways.
func (r *rig) fail(path string, ways ...kfsim.Fault) {
	r.Helper()
	for _, f := range ways {
		f.Path, f.Probability = path, 0.3/float64(len(ways))
		if _, err := r.sim.AddFault(f); err != nil {
			r.Fatal(err)
		}
	}
}

// addAccounts gives the corp n more accounts.
func (r *rig) addAccounts(n int) {
	r.Helper()
	for i := range n {
		a, err := r.sim.AddAccount(kfsim.Account{CorpID: r.world.corp.CorpID, Name: fmt.Sprint("Another desk ", i)})
		if err != nil {
			r.Fatal(err)
		}
		r.others = append(r.others, a.OpenKfID)
	}
}

// talk lets a customer write to all accounts in turn, so many times a second, whatever becomes of it.
func (r *rig) talk(d time.Duration, perSecond int) {
	r.Helper()
	t := time.NewTicker(time.Second / time.Duration(perSecond))
	defer t.Stop()
	n := int(d.Seconds()) * perSecond
	for i := range n {
		<-t.C
		if _, err := r.sim.CustomerSays(r.accounts()[i%len(r.accounts())], r.customer(), fmt.Sprintf("message %d 你好", i)); err != nil {
			r.Fatal(err)
		}
	}
	r.Logf("%d messages were written", n)
}

// drained waits until as much is stored as the platform has.
func (r *rig) drained(within time.Duration) {
	r.Helper()
	want, err := 0, error(nil)
	for _, a := range r.accounts() {
		want += len(r.sim.Items(a))
	}
	eventuallyWithin(r, within, fmt.Sprintf("%d items to be stored", want), func() bool {
		have := r.countStored()
		err = fmt.Errorf("%d are", have)
		return have >= want
	}, &err)
}

// blocks are the times in which sync_msg was shut, and the calls in them.
type blocks struct {
	mu    sync.Mutex
	began []time.Time
	soon  []int // calls that were under way when it began, or as good as
	late  []int // calls after that
}

const (
	blockSpan  = time.Minute
	blockGrace = time.Second // until every replica must know
)

func (r *rig) watchBlocks() *blocks {
	b := &blocks{}
	r.Cleanup(r.sim.OnAnswer(func(c kfsim.Call) {
		b.mu.Lock()
		defer b.mu.Unlock()
		if n := len(b.began); c.Path == "kf/sync_msg" && c.ErrCode == 45009 && (n == 0 || time.Since(b.began[n-1]) > blockSpan) {
			b.began, b.soon, b.late = append(b.began, time.Now()), append(b.soon, 0), append(b.late, 0)
		}
	}))
	r.Cleanup(r.sim.OnRequest(func(c kfsim.Call) {
		b.mu.Lock()
		defer b.mu.Unlock()
		n := len(b.began) - 1
		if n < 0 || c.Path != "kf/sync_msg" {
			return
		}
		switch age := time.Since(b.began[n]); {
		case age < blockGrace:
			b.soon[n]++
		case age < blockSpan:
			b.late[n]++
		}
	}))
	return b
}

func (b *blocks) check(t *testing.T) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	t.Logf("%d blocks of a minute; calls under way when they began %v, calls during them %v", len(b.began), b.soon, b.late)
	if len(b.began) == 0 {
		t.Error("there was no block")
	}
	for i := range b.began {
		if b.late[i] > 1 || b.soon[i] > 4 {
			t.Errorf("block %d: %d calls while it began and %d during it; want at most one a lane (4) and one", i, b.soon[i], b.late[i])
		}
	}
}
