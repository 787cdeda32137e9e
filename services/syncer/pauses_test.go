package syncer

import (
	"testing"
	"time"
)

func TestPauses(t *testing.T) {
	at := func(d time.Duration) time.Time { return noon.Add(d) }
	const soon, later = believed / 2, believed + time.Millisecond
	for _, c := range []struct {
		name string
		do   func(p *pauses)
		at   time.Duration
		want bool
	}{
		{"nothing is known", func(*pauses) {}, 0, false},
		{"seen open", func(p *pauses) { p.saw("a", at(0)) }, soon, true},
		{"seen open a while ago", func(p *pauses) { p.saw("a", at(0)) }, later, false},
		{"another API was seen open", func(p *pauses) { p.saw("b", at(0)) }, soon, false},
		{"shut since", func(p *pauses) { p.saw("a", at(0)); p.written(at(soon)) }, soon, false},
		{"seen open before the write was stored", func(p *pauses) { p.written(at(0)); p.saw("a", at(soon)) }, soon, false},
		{"seen open when it must have been stored", func(p *pauses) { p.written(at(0)); p.saw("a", at(later)) }, later, true},
		{"nobody listens", func(p *pauses) { p.saw("a", at(0)); p.listen(false) }, soon, false},
	} {
		var p pauses
		p.listen(true)
		c.do(&p)
		if got := p.isOpen("a", at(c.at)); got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, got, c.want)
		}
	}
}
