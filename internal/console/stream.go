package console

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// serveFeed streams the feed as server-sent events, until the client leaves or the
// console ends. The first event is "hello": {"resumed"} is false when the client
// must forget what it has, because it is new, or the process is, or steps are gone.
//
// Nobody waits for a client: one that takes nothing for c.patience, or falls behind
// what is kept, is dropped, and comes back with its Last-Event-ID.
func (c *Console) serveFeed(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	s := stream{w: w, rc: http.NewResponseController(w), patience: c.patience}
	after, resumed := c.resume(r.Header.Get("Last-Event-ID"))
	s.printf("retry: 1000\nevent: hello\ndata: {\"resumed\":%t}\n\n", resumed)

	beat := time.NewTicker(c.heartbeat)
	defer beat.Stop()
	for s.err == nil {
		ended := c.feed.isClosed()
		list, whole, grown := c.feed.since(after)
		if !whole && after > 0 {
			return
		}
		for _, e := range list {
			s.printf("id: %s-%d\nevent: %s\ndata: %s\n\n", c.boot, e.seq, e.name, e.data)
			after = e.seq
		}
		s.flush()
		if ended {
			return
		}
		select {
		case <-r.Context().Done():
			return
		case <-grown:
		case <-beat.C:
			s.printf(": still here\n\n")
		}
	}
}

// resume reads a Last-Event-ID of this process from which nothing is missing.
func (c *Console) resume(id string) (after uint64, resumed bool) {
	boot, n, _ := strings.Cut(id, "-")
	seq, err := strconv.ParseUint(n, 10, 64)
	if boot != c.boot || err != nil {
		return 0, false
	}
	if _, whole, _ := c.feed.since(seq); !whole {
		return 0, false
	}
	return seq, true
}

// stream writes until the first error.
type stream struct {
	w        http.ResponseWriter
	rc       *http.ResponseController
	patience time.Duration
	err      error
}

func (s *stream) printf(format string, a ...any) {
	if s.err != nil {
		return
	}
	s.err = s.rc.SetWriteDeadline(time.Now().Add(s.patience))
	if errors.Is(s.err, http.ErrNotSupported) {
		s.err = nil
	}
	if s.err == nil {
		_, s.err = fmt.Fprintf(s.w, format, a...) //nolint:gosec // text/event-stream, never sniffed; the data is one line of JSON
	}
}

func (s *stream) flush() {
	if s.err == nil {
		s.err = s.rc.Flush()
	}
}
