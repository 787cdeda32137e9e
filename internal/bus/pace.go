package bus

import (
	"hash/maphash"
	"math"
	"time"
)

// pace is what a line knows of the broker's speed, and decides by it. The zero
// value knows nothing, and makes no batches.
type pace struct {
	single mean // what a message costs by itself: the time between two acks while many are on their way
	row    int  // acks in a row of them
	since  time.Time

	batch mean // what a batch costs beside its messages
	last  time.Time
	count int
	pause time.Duration // after a refusal; it doubles
	until time.Time     // no batch before
}

const (
	fewest      = 16                    // with fewer waiting there is never a batch
	while       = 20 * time.Millisecond // of acks is one measurement
	usualBatch  = 3 * time.Millisecond  // of a batch of which nothing is known: several files are made and synced for it
	eachInBatch = 30 * time.Microsecond // what a message adds to it
	staleAfter  = 10 * time.Second      // what a batch cost is worth nothing then: try again
	lookEvery   = 256                   // batches between two looks at what single messages cost
	toBegin     = 1.3                   // how much faster batches must be to begin with them
	toGoOn      = 1.0                   // and to go on
	firstPause  = 50 * time.Millisecond
	lastPause   = 10 * time.Second
)

// stored takes account of the ack of a message that went by itself, busily: with many others, and no batch. Acks come in
// bursts, so only a while of them says something.
func (p *pace) stored(clock func() time.Time, busily bool) {
	if !busily {
		p.row = 0
		return
	}
	now := clock()
	switch {
	case p.row == 0:
		p.since = now
	case now.Sub(p.since) >= while:
		p.single.add(now.Sub(p.since), p.row)
		p.row, p.since = 0, now
	}
	p.row++
}

// need returns how many must wait for a batch to be margin times as fast as they are by themselves.
func (p *pace) need(now time.Time, margin float64) int {
	saved := float64(p.single.get()) - margin*float64(eachInBatch) // by each message that shares
	if saved <= 0 || now.Before(p.until) {
		return math.MaxInt
	}
	batch := p.batch.get()
	if now.Sub(p.last) > staleAfter {
		batch = usualBatch
	}
	n := math.Ceil(margin * float64(batch) / saved)
	if n > maxGroup {
		return math.MaxInt
	}
	return max(int(n), fewest)
}

// lookAround reports whether it is time to measure what single messages cost, and if so makes no batches for a while.
func (p *pace) lookAround(now time.Time) bool {
	if p.count++; p.count%lookEvery > 0 {
		return false
	}
	p.until = now.Add(3 * while / 2)
	return true
}

// committed takes account of a batch of n that took so long, or was refused.
func (p *pace) committed(now time.Time, took time.Duration, n int, err error) {
	p.row = 0
	if err != nil {
		p.pause = min(max(2*p.pause, firstPause), lastPause)
		p.until = now.Add(p.pause)
		return
	}
	if now.Sub(p.last) > staleAfter { // hope again, for as many as count
		p.batch = mean{}
		p.batch.add(usualBatch, 1)
	}
	p.batch.add(took-time.Duration(n)*eachInBatch, 1)
	p.last = now
	p.pause /= 2
}

// mean is what one of something took, over the last few measurements; 0 before
// the first.
type mean struct {
	took [8]time.Duration
	of   [8]int
	next int
}

// add takes account of n that took d.
func (m *mean) add(d time.Duration, n int) {
	m.took[m.next], m.of[m.next] = max(d, 1), n
	m.next = (m.next + 1) % len(m.took)
}

func (m *mean) get() time.Duration {
	took, of := time.Duration(0), 0
	for i, d := range m.took {
		took += d
		of += m.of[i]
	}
	return took / time.Duration(max(1, of))
}

// recent remembers, most likely, the last few thousand texts that were added.
// The zero value remembers none.
type recent struct {
	seed  maphash.Seed
	slots []uint64
}

const manyRecent = 8192

func (r *recent) slot(s string) (at *uint64, hash uint64) {
	if r.slots == nil {
		r.seed, r.slots = maphash.MakeSeed(), make([]uint64, manyRecent)
	}
	hash = maphash.String(r.seed, s) | 1 // 0 is nothing
	return &r.slots[hash/2%manyRecent], hash
}

func (r *recent) has(s string) bool {
	at, hash := r.slot(s)
	return *at == hash
}

func (r *recent) add(s string) {
	at, hash := r.slot(s)
	*at = hash
}

func (r *recent) remove(s string) {
	if at, hash := r.slot(s); *at == hash {
		*at = 0
	}
}
