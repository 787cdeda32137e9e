package ingress

import (
	"fmt"
	"testing"
)

// TestRecentForgetsTheOldest: it remembers as many as it has room for, and holds no more.
func TestRecentForgetsTheOldest(t *testing.T) {
	var r recent
	n := len(r.ring)
	for i := range n {
		r.add(fmt.Sprint(i))
		r.add(fmt.Sprint(i)) // a repeat takes no room
	}
	if !r.has("0") || !r.has(fmt.Sprint(n-1)) || r.has("other") {
		t.Errorf("first %v, last %v, other %v; want true, true, false", r.has("0"), r.has(fmt.Sprint(n-1)), r.has("other"))
	}
	r.add("one more")
	if r.has("0") || !r.has("1") || !r.has("one more") || len(r.ids) != n {
		t.Errorf("after one more: first %v, second %v, that one %v, %d in all", r.has("0"), r.has("1"), r.has("one more"), len(r.ids))
	}
}
