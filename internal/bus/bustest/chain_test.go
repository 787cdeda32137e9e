package bustest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
)

// witness keeps what a check has to say.
type witness struct {
	testing.TB
	said []string
}

func (w *witness) Errorf(format string, a ...any) { w.said = append(w.said, fmt.Sprintf(format, a...)) }

// TestCheckFindsWhatIsBroken breaks a chain that is whole.
func TestCheckFindsWhatIsBroken(t *testing.T) {
	for _, c := range []struct {
		name  string
		spoil func(t *testing.T, b *bus.Bus, c Chain, y *Tally)
		want  string // "": nothing
	}{
		{"whole", func(*testing.T, *bus.Bus, Chain, *Tally) {}, ""},
		{"acked and lost", func(t *testing.T, b *bus.Bus, c Chain, y *Tally) { remove(t, b, c, y.seqs[2]) }, "1 acked and lost, 0 doubled"},
		{"half a step", func(t *testing.T, b *bus.Bus, c Chain, y *Tally) { remove(t, b, c, y.seqs[2]-1) }, "29 messages are not the 30"},
		{"doubled", func(t *testing.T, b *bus.Bus, _ Chain, _ *Tally) {
			if _, _, err := b.Publish(Context(t), message("wk1", "2-3", 23)); err != nil {
				t.Fatal(err)
			}
		}, "0 acked and lost, 1 doubled"},
		{"acked twice", func(_ *testing.T, _ *bus.Bus, _ Chain, y *Tally) { y.acked(2, y.seqs[2]) }, "1 steps acked twice"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := testkit.NATS(t)
			b := Env{URL: s.URL(), Replicas: 1}.Start(t)
			chain, tally, w := Pages("wk1"), &Tally{}, &witness{TB: t}
			if err := chain.Write(Context(t), b, tally, func(n int) bool { return n == 3 }); err != nil {
				t.Fatal(err)
			}
			c.spoil(t, b, chain, tally)
			chain.Check(w, b, tally)
			if got := strings.Join(w.said, "; "); !strings.Contains(got, c.want) || (c.want == "") != (got == "") {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func remove(t *testing.T, b *bus.Bus, c Chain, seq uint64) {
	t.Helper()
	s, err := b.JS.Stream(Context(t), c.stream)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.DeleteMsg(Context(t), seq); err != nil {
		t.Fatal(err)
	}
}
