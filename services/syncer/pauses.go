package syncer

import (
	"context"
	"sync"
	"time"

	"github.com/kfbus/kfbus/pkg/events"
)

// pauses remembers for a moment that an API is open, so that not every pull asks the broker. That one is shut is never
// remembered: the broker knows when it ends. The zero value remembers nothing.
type pauses struct {
	mu        sync.Mutex
	listening bool                 // what other replicas write is heard of
	doubt     time.Time            // nothing is remembered before
	open      map[string]time.Time // until when an API is believed to be open
}

// believed is how long an API counts as open without asking, and after a write how long nothing is remembered, since
// what tells of it may be faster than what stores it.
const believed = time.Second

func (p *pauses) isOpen(api string, now time.Time) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.listening && now.Before(p.open[api])
}

// saw takes account of an answer of the broker's to a question that was asked at a time.
func (p *pauses) saw(api string, asked time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if asked.Before(p.doubt) {
		return
	}
	if p.open == nil {
		p.open = map[string]time.Time{}
	}
	p.open[api] = asked.Add(believed)
}

// written: somebody shut an API.
func (p *pauses) written(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.doubt = now.Add(believed)
	clear(p.open)
}

func (p *pauses) listen(on bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.listening = on
}

// hearPauses listens to what shuts an API, until ctx ends.
func (s *Syncer) hearPauses(ctx context.Context) error {
	stop, err := s.bus.OnWrite(events.BucketThrottle, events.Token(s.corp)+".*", func() { s.pauses.written(s.now()) })
	if err != nil {
		return err
	}
	defer stop()
	s.pauses.written(s.now())
	s.pauses.listen(true)
	defer s.pauses.listen(false)
	<-ctx.Done()
	return nil
}
