package bustest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

// Chain is work in steps that any number of writers share, as syncers share an
// account: step n is written after reading that n-1 is the last, and is refused
// if that is no longer so. Whatever dies meanwhile, every step must be there
// once, whole and in its place.
type Chain struct {
	stream  string
	account string
	head    string // subject of the message that guards the next step; its id is the step's number
	items   string // where the rest of a step is: size messages
	size    int
}

// Pages is a chain of atomic batches into KF_MESSAGE: a cursor, which replaces
// the one before it, and ten messages.
func Pages(account string) Chain {
	return Chain{events.StreamMessage, account, events.CursorSubject("ww1", account), "kf.message.ww1." + account + ".>", 10}
}

// Outcomes is a chain of single publishes into KF_OUTCOME.
func Outcomes(account string) Chain {
	s := "kf.outcome.team.ww1." + account + ".accepted.wm1"
	return Chain{events.StreamOutcome, account, s, s, 0}
}

// Write adds steps until enough says so of the number there are, or ctx ends.
// Only its own mistakes are errors: what the broker answers goes into tally.
func (c Chain) Write(ctx context.Context, b *bus.Bus, tally *Tally, enough func(steps int) bool) error {
	for ctx.Err() == nil {
		n, last, err := c.last(ctx, b)
		if err != nil {
			tally.refused("read", err)
			pause(ctx)
			continue
		}
		if enough(n) {
			return nil
		}
		step, err := c.step(n+1, last)
		if err != nil {
			return err
		}
		seq, err := b.PublishBatch(ctx, step)
		if err != nil {
			tally.refused("write", err)
			pause(ctx)
			continue
		}
		tally.acked(n+1, seq)
	}
	return fmt.Errorf("chain %s: %w", c.head, ctx.Err())
}

// pause keeps a refused writer from spinning.
func pause(ctx context.Context) {
	t := time.NewTimer(20 * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// last returns how many steps there are, and the sequence that guards the next.
func (c Chain) last(ctx context.Context, b *bus.Bus) (n int, seq uint64, err error) {
	s, err := b.Last(ctx, c.stream, c.head)
	if errors.Is(err, bus.ErrNotFound) {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	e, err := s.Event()
	if err != nil {
		return 0, 0, err
	}
	n, err = strconv.Atoi(e.ID())
	return n, s.Seq, err
}

func (c Chain) step(n int, last uint64) ([]bus.Message, error) {
	e, err := events.Own(strconv.Itoa(n), "/test", events.TypeCursor, events.Cursor{Cursor: strconv.Itoa(n)})
	if err != nil {
		return nil, err
	}
	head := bus.Message{Subject: c.head, Event: e, ExpectLast: &last}
	if c.size == 0 {
		return []bus.Message{head}, nil
	}
	head.Rollup, head.TTL = true, bus.Forever
	ms := []bus.Message{head}
	for i := range c.size {
		ms = append(ms, message(c.account, fmt.Sprintf("%d-%d", n, i), uint64(n*c.size+i)))
	}
	return ms, nil
}

// ids of the first n steps, in order.
func (c Chain) ids(n int) []string {
	var out []string
	for s := 1; s <= n; s++ {
		if c.size == 0 {
			out = append(out, strconv.Itoa(s))
		}
		for i := range c.size {
			out = append(out, fmt.Sprintf("%d-%d", s, i))
		}
	}
	return out
}

// Check compares what the stream holds with what the writers were told, prints
// the counts and fails where an acknowledged step is not there, where anything is
// there twice, or where the order is not that of the steps.
func (c Chain) Check(t testing.TB, b *bus.Bus, tally *Tally) {
	t.Helper()
	ctx := Context(t)
	steps, _, err := c.last(ctx, b)
	if err != nil {
		t.Fatal(err)
	}
	got := c.read(ctx, t, b)
	ids, at := make([]string, len(got)), map[uint64]string{}
	count := map[string]int{}
	doubled := 0
	for i, m := range got {
		ids[i], at[m.seq] = m.id, m.id
		if count[m.id]++; count[m.id] == 2 {
			doubled++
		}
	}
	tally.mu.Lock()
	defer tally.mu.Unlock()
	lost := 0
	for n, seq := range tally.seqs {
		all := c.ids(n)
		if at[seq] != all[len(all)-1] {
			lost++
		}
	}
	t.Logf("%s: %d steps of %d messages stored, %d acked, %d acked and lost, %d messages doubled; refused or unanswered: %s",
		c.head, steps, c.size+1, len(tally.seqs), lost, doubled, tally.reasons())
	if lost > 0 || doubled > 0 || tally.twice > 0 {
		t.Errorf("got %d acked and lost, %d doubled, %d steps acked twice; want none", lost, doubled, tally.twice)
	}
	if want := c.ids(steps); !slices.Equal(ids, want) {
		t.Errorf("%d messages are not the %d of %d steps in their order", len(ids), len(want), steps)
	}
}

type link struct {
	id  string
	seq uint64
}

// read returns all items, up to what the stream's leader says is the last.
func (c Chain) read(ctx context.Context, t testing.TB, b *bus.Bus) []link {
	t.Helper()
	end, err := b.Last(ctx, c.stream, c.items)
	if err != nil {
		t.Fatal(err)
	}
	cons, err := b.JS.OrderedConsumer(ctx, c.stream, jetstream.OrderedConsumerConfig{FilterSubjects: []string{c.items}})
	if err != nil {
		t.Fatal(err)
	}
	it, err := cons.Messages()
	if err != nil {
		t.Fatal(err)
	}
	defer it.Stop()
	var out []link
	for {
		m, err := it.Next(jetstream.NextContext(ctx))
		if err != nil {
			t.Fatalf("read %s after %d messages: %v", c.items, len(out), err)
		}
		meta, err := m.Metadata()
		if err != nil {
			t.Fatal(err)
		}
		e, err := bus.Decode(m.Headers(), m.Data())
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, link{e.ID(), meta.Sequence.Stream})
		if meta.Sequence.Stream >= end.Seq {
			return out
		}
	}
}

// Tally is what the writers of one chain were told. The zero value is ready.
type Tally struct {
	mu    sync.Mutex
	seqs  map[int]uint64 // acked step: sequence of its last message
	twice int            // steps acked more than once
	why   map[string]int
}

func (y *Tally) acked(step int, seq uint64) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.seqs == nil {
		y.seqs = map[int]uint64{}
	}
	if _, ok := y.seqs[step]; ok {
		y.twice++
	}
	y.seqs[step] = seq
}

func (y *Tally) refused(verb string, err error) {
	why := verb + " " + bus.Reason(err)
	var api *jetstream.APIError
	if errors.As(err, &api) {
		why += " " + strconv.Itoa(int(api.ErrorCode))
	}
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.why == nil {
		y.why = map[string]int{}
	}
	y.why[why]++
}

// Acked is how many steps were acknowledged.
func (y *Tally) Acked() int {
	y.mu.Lock()
	defer y.mu.Unlock()
	return len(y.seqs)
}

// count is how often an answer with this prefix came.
func (y *Tally) count(prefix string) int {
	y.mu.Lock()
	defer y.mu.Unlock()
	n := 0
	for why, k := range y.why {
		if strings.HasPrefix(why, prefix) {
			n += k
		}
	}
	return n
}

func (y *Tally) reasons() string {
	if len(y.why) == 0 {
		return "none"
	}
	var out []string
	for _, why := range slices.Sorted(maps.Keys(y.why)) {
		out = append(out, fmt.Sprintf("%d × %s", y.why[why], why))
	}
	return strings.Join(out, ", ")
}

// threeRivals: three writers of one chain get in each other's way, and it is
// whole all the same.
func threeRivals(t *testing.T, env Env) {
	b := env.Start(t)
	ctx := Context(t)
	chain, tally := Pages("wk1"), &Tally{}
	const steps = 60
	var wg sync.WaitGroup
	for i := range 3 {
		rival := env.Connect(t, fmt.Sprint("rival", i))
		wg.Go(func() {
			if err := chain.Write(ctx, rival, tally, func(n int) bool { return n >= steps }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	chain.Check(t, b, tally)
	if got := tally.Acked(); got != steps {
		t.Errorf("%d steps were acked, want %d: nothing died", got, steps)
	}
	if tally.count("write conflict") == 0 {
		t.Error("no writer was ever refused: this was no race")
	}
}
