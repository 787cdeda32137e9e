package tokenkeeper

import (
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/tokens"
)

func TestJudge(t *testing.T) {
	at := time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
	v := func(generation uint64, hash string, life time.Duration) *tokens.Value {
		return &tokens.Value{Generation: generation, Hash: hash, Obtained: at, Expires: at.Add(life)}
	}
	for _, c := range []struct {
		name        string
		held, entry *tokens.Value
		unpublished bool
		want        verdict
	}{
		{"nothing anywhere", nil, nil, false, leave},
		{"only in the bucket", nil, v(1, "a", life), false, adopt},
		{"only here", v(1, "a", life), nil, false, publish},
		{"the same in both", v(1, "a", life), v(1, "a", life), false, leave},
		{"the same in both, and an answer to its write was lost", v(1, "a", life), v(1, "a", life), true, leave},
		{"an older one in the bucket", v(2, "b", life), v(1, "a", life), true, publish},
		{"an older one in the bucket, put back from a backup", v(2, "b", life), v(1, "a", life), false, publish},
		{"a newer one in the bucket", v(1, "a", life), v(2, "b", life), false, adopt},
		{"a newer one in the bucket than what is not published", v(2, "b", life), v(3, "c", life), true, adopt},
		{"another keeper refreshed at the same time, and was first", v(2, "b", life), v(2, "c", life), true, adopt},
		{"the same token lives longer, we know", v(1, "a", 2*life), v(1, "a", life), true, publish},
		{"the same token lives longer, the bucket knows", v(1, "a", life), v(1, "a", 2*life), false, adopt},
	} {
		if got := judge(c.held, c.entry, c.unpublished); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}

func TestNextGeneration(t *testing.T) {
	for _, c := range []struct {
		name   string
		before uint64
		unix   int64
		want   uint64
	}{
		{"the first is the time", 0, 1772352000, 1772352000},
		{"the next is the time too", 1772352000, 1772357400, 1772357400},
		{"two in a second differ", 1772352000, 1772352000, 1772352001},
		{"it never falls with the clock", 1772352000, 1772344800, 1772352001},
		{"nor below one", 0, -5, 1},
	} {
		if got := nextGeneration(c.before, time.Unix(c.unix, 0)); got != c.want {
			t.Errorf("%s: got %d, want %d", c.name, got, c.want)
		}
	}
}
