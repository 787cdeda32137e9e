package bus_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/localnats"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
)

// grouped is a Group that makes batches, on a server that syncs always.
type grouped struct {
	*testing.T
	b *bus.Bus
	g *bus.Group
}

func group(t *testing.T) *grouped {
	t.Helper()
	s := testkit.NATS(t, func(o *localnats.Options) { o.SyncAlways = true })
	b := testkit.Connect(t, s, t.Name())
	if _, err := b.Apply(testkit.Context(t), testkit.Small()); err != nil {
		t.Fatal(err)
	}
	return &grouped{t, b, b.Group(time.Now)}
}

// outcome is what a caller was told.
type outcome struct {
	m      bus.Message
	seq    uint64
	repeat bool
	err    error
}

// all publishes the messages at once, until a batch was tried among them.
func (d *grouped) all(ms []bus.Message) []outcome {
	d.Helper()
	d.g.ThinkSlow()
	out := make([]outcome, len(ms))
	var wg sync.WaitGroup
	for i, m := range ms {
		wg.Go(func() {
			seq, repeat, err := d.g.Publish(testkit.Context(d), m)
			out[i] = outcome{m, seq, repeat, err}
		})
	}
	wg.Wait()
	testkit.Eventually(d, "an idle group", d.g.Idle)
	return out
}

// stored returns the ids a stream holds, by sequence, and fails if one is there twice.
func (d *grouped) stored(stream string) map[uint64]string {
	d.Helper()
	ctx := testkit.Context(d)
	s, err := d.b.JS.Stream(ctx, stream)
	if err != nil {
		d.Fatal(err)
	}
	out, seen := map[uint64]string{}, map[string]bool{}
	for seq := s.CachedInfo().State.FirstSeq; seq <= s.CachedInfo().State.LastSeq; seq++ {
		m, err := s.GetMsg(ctx, seq)
		if err != nil {
			d.Fatalf("message %d of %s: %v", seq, stream, err)
		}
		id := m.Header.Get(jetstream.MsgIDHeader)
		if seen[id] {
			d.Errorf("%s is stored twice", id)
		}
		seen[id], out[seq] = true, id
	}
	return out
}

func ring(tb testing.TB, account, id string) bus.Message {
	tb.Helper()
	m := doorbell(tb, account)
	m.MsgID = id
	return m
}

func TestGroupTellsEachItsOwnSequence(t *testing.T) {
	d := group(t)
	var ms []bus.Message
	for i := range 200 {
		ms = append(ms, appMessage(t, fmt.Sprint("m", i)))
	}
	out := d.all(ms)
	if d.g.Batches() == 0 {
		t.Error("no batch was made")
	}
	stored := d.stored(events.StreamMessage)
	for _, o := range out {
		if o.err != nil || stored[o.seq] != o.m.MsgID {
			t.Errorf("%s: got %d, %v; stored there is %q", o.m.MsgID, o.seq, o.err, stored[o.seq])
		}
	}
	if len(stored) != 200 {
		t.Errorf("got %d stored, want 200", len(stored))
	}
}

func TestGroupTellsRepeatsFromNews(t *testing.T) {
	d := group(t)
	first := appMessage(t, "m0")
	if _, _, err := d.b.Publish(testkit.Context(t), first); err != nil { // by another replica: this group does not know
		t.Fatal(err)
	}
	var ms []bus.Message
	for i := range 150 {
		ms = append(ms, appMessage(t, fmt.Sprint("m", i%50)))
	}
	news := map[string]int{"m0": 1}
	for _, o := range d.all(ms) {
		if o.err != nil {
			t.Fatalf("%s: %v", o.m.MsgID, o.err)
		}
		if !o.repeat {
			news[o.m.MsgID]++
		}
	}
	for id, n := range news { // none, if a slow batch was repeated one by one
		if n > 1 {
			t.Errorf("%s was news to %d callers, want 1", id, n)
		}
	}
	if got := len(d.stored(events.StreamMessage)); got != 50 {
		t.Errorf("got %d stored, want 50", got)
	}
}

func TestGroupCoversDoorbellsOneByOne(t *testing.T) {
	d := group(t)
	var ms []bus.Message
	for i := range 120 {
		account := fmt.Sprint("wk", i)
		if i%2 == 0 {
			account = "busy" // half of them ring at one door
		}
		ms = append(ms, ring(t, account, fmt.Sprint("r", i)))
	}
	kept := map[string]int{}
	for range 2 { // the second time nothing is new, and the busy one is full from the start
		for _, o := range d.all(ms) {
			account := o.m.Subject
			switch {
			case o.err == nil && !o.repeat:
				kept[account]++
			case o.err != nil && (!errors.Is(o.err, bus.ErrCovered) || account != events.CallbackSubject("ww1", "busy")):
				t.Errorf("%s: %v", o.m.MsgID, o.err)
			}
		}
	}
	for account, n := range kept {
		if most := map[bool]int{true: 2, false: 1}[account == events.CallbackSubject("ww1", "busy")]; n > most {
			t.Errorf("%s: %d were told that theirs is kept, want %d", account, n, most)
		}
	}
	if got := len(d.stored(events.StreamCallback)); got != 62 {
		t.Errorf("got %d stored, want 62", got)
	}
}

func TestGroupFillsAStreamToTheBrim(t *testing.T) {
	d := group(t)
	ctx := testkit.Context(t)
	s, err := d.b.JS.Stream(ctx, events.StreamMessage)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.MaxMsgs = 70
	if _, err := d.b.JS.UpdateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	var ms []bus.Message
	for i := range 120 {
		ms = append(ms, appMessage(t, fmt.Sprint("m", i)))
	}
	acked := 0
	for _, o := range d.all(ms) {
		switch {
		case o.err == nil:
			acked++
		case !errors.Is(o.err, bus.ErrFull):
			t.Errorf("%s: got %v, want ErrFull", o.m.MsgID, o.err)
		}
	}
	if got := len(d.stored(events.StreamMessage)); got != 70 || acked != 70 {
		t.Errorf("got %d stored and %d acks, want 70", got, acked)
	}
}

func TestGroupDoesWithoutBatches(t *testing.T) {
	d := group(t)
	ctx := testkit.Context(t)
	s, err := d.b.JS.Stream(ctx, events.StreamCallback)
	if err != nil {
		t.Fatal(err)
	}
	cfg := s.CachedInfo().Config
	cfg.AllowAtomicPublish = false // as an older topology has it
	if _, err := d.b.JS.UpdateStream(ctx, cfg); err != nil {
		t.Fatal(err)
	}
	var ms []bus.Message
	for i := range 100 {
		ms = append(ms, ring(t, fmt.Sprint("wk", i), fmt.Sprint("r", i)))
	}
	for _, o := range d.all(ms) {
		if o.err != nil || o.repeat {
			t.Errorf("%s: %v, %v", o.m.MsgID, o.repeat, o.err)
		}
	}
	if d.g.Batches() == 0 {
		t.Error("no batch was tried, so none was refused")
	}
	if got := len(d.stored(events.StreamCallback)); got != 100 {
		t.Errorf("got %d stored, want 100", got)
	}
}

func TestGroupHoldsEachDeadline(t *testing.T) {
	d := group(t)
	gone, leave := context.WithCancel(t.Context())
	leave()
	late, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	d.g.ThinkSlow()
	var wg sync.WaitGroup
	for i := range 150 {
		ctx := []context.Context{testkit.Context(t), gone, late}[i%3]
		wg.Go(func() {
			_, _, err := d.g.Publish(ctx, appMessage(t, fmt.Sprint("m", i)))
			if ctx.Err() == nil && err != nil || ctx.Err() != nil && err != nil && !errors.Is(err, bus.ErrUnknown) {
				t.Errorf("m%d: %v", i, err)
			}
		})
	}
	wg.Wait()
	testkit.Eventually(t, "an idle group", d.g.Idle)
	ids := map[string]bool{}
	for _, id := range d.stored(events.StreamMessage) {
		ids[id] = true
	}
	for i := 0; i < 150; i += 3 {
		if !ids[fmt.Sprint("m", i)] {
			t.Errorf("m%d is lost: its neighbours left", i)
		}
	}
}

// TestGroupOverRestarts: every caller repeats what failed, as the platform does; whatever was acknowledged is there once.
func TestGroupOverRestarts(t *testing.T) {
	o := localnats.Options{Dir: t.TempDir(), SyncAlways: true}
	s, err := localnats.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(s.URL())
	if err != nil {
		t.Fatal(err)
	}
	o.Listen = net.JoinHostPort(u.Hostname(), u.Port())
	b := testkit.Connect(t, s, t.Name()) // in the process: it cannot come back
	if _, err := b.Apply(testkit.Context(t), testkit.Small()); err != nil {
		t.Fatal(err)
	}
	b.Close()
	b = overTCP(t, s.URL())
	d := &grouped{t, b, b.Group(time.Now)}
	published := make(chan struct{}, 1<<16)
	var wg sync.WaitGroup
	stop := make(chan struct{})
	var mu sync.Mutex
	acked := map[string]bool{}
	for c := range 64 {
		wg.Go(func() {
			for i := 0; ; i++ {
				id := fmt.Sprintf("c%d-%d", c, i)
				for {
					ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
					_, _, err := d.g.Publish(ctx, appMessage(t, id))
					cancel()
					if err == nil {
						break
					}
					select {
					case <-stop: // nobody was told that this one is kept
						return
					case <-time.After(10 * time.Millisecond):
					}
				}
				mu.Lock()
				acked[id] = true
				mu.Unlock()
				published <- struct{}{}
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for range 3 {
		d.g.ThinkSlow()
		for range 400 {
			<-published
		}
		s.Close()
		if s, err = localnats.Start(o); err != nil {
			t.Fatal(err)
		}
	}
	for range 200 {
		<-published
	}
	close(stop)
	wg.Wait()
	defer s.Close()
	testkit.Eventually(t, "the connection", b.NC.IsConnected)
	testkit.Eventually(t, "an idle group", d.g.Idle)
	there := map[string]bool{}
	for _, id := range d.stored(events.StreamMessage) {
		there[id] = true
	}
	for id := range acked {
		if !there[id] {
			t.Errorf("%s was acknowledged and is lost", id)
		}
	}
	t.Logf("%d acknowledged, %d stored, %d batches", len(acked), len(there), d.g.Batches())
	b.Close()
}

// TestGroupAgainstAModel: callers, ids, doors and patience at random; the answers must fit what the streams hold.
func TestGroupAgainstAModel(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 0))
	d := group(t)
	type said struct{ news, repeats, unknown, covered int }
	answers := map[string]*said{} // by id
	accounts := map[string]string{}
	var mu sync.Mutex
	for round := range 6 {
		d.g.ThinkSlow()
		var wg sync.WaitGroup
		for range 40 + rnd.IntN(150) {
			n := rnd.IntN(400)
			m := appMessage(t, fmt.Sprint("m", n))
			if n%2 == 0 {
				m = ring(t, fmt.Sprint("wk", n%26), fmt.Sprint("r", n))
			}
			patience := testkit.Patience
			if rnd.IntN(10) == 0 {
				patience = time.Duration(rnd.IntN(5)) * time.Millisecond
			}
			if answers[m.MsgID] == nil {
				answers[m.MsgID], accounts[m.MsgID] = &said{}, m.Subject
			}
			a := answers[m.MsgID]
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				_, repeat, err := d.g.Publish(ctx, m)
				mu.Lock()
				defer mu.Unlock()
				switch {
				case err == nil && repeat:
					a.repeats++
				case err == nil:
					a.news++
				case errors.Is(err, bus.ErrUnknown) && ctx.Err() != nil:
					a.unknown++
				case errors.Is(err, bus.ErrCovered) && m.MsgID[0] == 'r':
					a.covered++
				default:
					t.Errorf("round %d, %s: %v", round, m.MsgID, err)
				}
			})
		}
		wg.Wait()
		testkit.Eventually(t, "an idle group", d.g.Idle)
	}
	there := map[string]bool{}
	perAccount := map[string]int{}
	for _, stream := range []string{events.StreamMessage, events.StreamCallback} {
		for _, id := range d.stored(stream) {
			there[id] = true
			perAccount[accounts[id]]++
		}
	}
	for id, a := range answers {
		kept := a.news+a.repeats > 0
		if kept && !there[id] || there[id] && !kept && a.unknown == 0 || a.news > 1 {
			t.Errorf("%s: told %+v, stored %v", id, *a, there[id])
		}
		if a.covered > 0 && perAccount[accounts[id]] < 2 {
			t.Errorf("%s was covered by %d doorbells, want 2", id, perAccount[accounts[id]])
		}
	}
	if d.g.Batches() == 0 {
		t.Error("no batch was made")
	}
	t.Logf("%d ids, %d stored, %d batches", len(answers), len(there), d.g.Batches())
}
