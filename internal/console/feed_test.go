package console

import (
	"fmt"
	"slices"
	"testing"
)

// names of what a reader gets, in order.
func names(list []note) []string {
	out := []string{}
	for _, e := range list {
		out = append(out, string(e.data))
	}
	return out
}

func TestFeedKeepsTheNewest(t *testing.T) {
	loud := func(n int) (list []bool) { return make([]bool, n) }
	quiet := func(n int) (list []bool) { return slices.Repeat([]bool{true}, n) }
	for _, c := range []struct {
		name  string
		added []bool // quiet or not, numbered from 0
		first string // oldest that is left
		n     int
		gone  uint64
	}{
		{"nothing", nil, "", 0, 0},
		{"as many as fit", loud(maxSteps), "0", maxSteps, 0},
		{"one more", loud(maxSteps + 1), "1", maxSteps, 1},
		{"ten times as many", loud(10 * maxSteps), "4500", maxSteps, 9 * maxSteps},
		{"quiet as many as fit", quiet(maxQuiet), "0", maxQuiet, 0},
		{"quiet ones push out quiet ones", quiet(maxQuiet + 3), "3", maxQuiet, 0},
		{"quiet ones never push out more than their share", slices.Concat(loud(maxSteps-maxQuiet), quiet(5*maxQuiet)), "0", maxSteps, 0},
		{"loud ones push out what is oldest, whichever it is", slices.Concat(quiet(2), loud(maxSteps)), "2", maxSteps, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFeed()
			for i, q := range c.added {
				f.add(q, fmt.Append(nil, i))
			}
			list, _, _ := f.since(0)
			if got := len(list); got != c.n {
				t.Fatalf("got %d steps, want %d", got, c.n)
			}
			if c.n > 0 && string(list[0].data) != c.first {
				t.Errorf("oldest is %s, want %s", list[0].data, c.first)
			}
			if f.gone != c.gone {
				t.Errorf("newest loud step that is gone is %d, want %d", f.gone, c.gone)
			}
			count := 0
			for _, e := range list {
				if e.quiet {
					count++
				}
			}
			if count != f.quiet {
				t.Errorf("counted %d quiet steps, there are %d", f.quiet, count)
			}
		})
	}
}

func TestFeedResumes(t *testing.T) {
	f := newFeed()
	f.add(false, []byte("a"))                 // 1
	f.set("phone ann", "phone", []byte("p1")) // 2
	f.add(false, []byte("b"))                 // 3
	f.set("phone ann", "phone", []byte("p2")) // 4
	f.set("phone bo", "phone", []byte("q"))   // 5
	for _, c := range []struct {
		name  string
		after uint64
		want  []string
		whole bool
	}{
		{"from the start, each thing's present once", 0, []string{"a", "b", "p2", "q"}, true},
		{"after the first phone change", 2, []string{"b", "p2", "q"}, true},
		{"after a step", 3, []string{"p2", "q"}, true},
		{"after the last", 5, []string{}, true},
		{"after one that never was", 6, []string{}, false},
	} {
		list, whole, _ := f.since(c.after)
		if got := names(list); !slices.Equal(got, c.want) || whole != c.whole {
			t.Errorf("%s: got %v %t, want %v %t", c.name, got, whole, c.want, c.whole)
		}
	}
	for range maxSteps {
		f.add(false, []byte("x"))
	}
	if _, whole, _ := f.since(2); whole {
		t.Error("step 3 was dropped: got whole, want not")
	}
	if _, whole, _ := f.since(3); !whole {
		t.Error("nothing is missing after 3: got not whole")
	}
}

func TestFeedWakesItsReaders(t *testing.T) {
	f := newFeed()
	_, _, grown := f.since(0)
	select {
	case <-grown:
		t.Fatal("woken by nothing")
	default:
	}
	f.add(false, nil)
	<-grown
	_, _, grown = f.since(1)
	f.set("k", "phone", nil)
	<-grown
	_, _, grown = f.since(2)
	f.close()
	<-grown
	f.close()         // again is nothing new
	f.add(false, nil) // and writers need not know
	if list, _, _ := f.since(2); len(list) != 1 || !f.isClosed() {
		t.Errorf("after close: got %d events, closed %t; want 1, true", len(list), f.isClosed())
	}
}
