package sender

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/pkg/events"
)

// outlet is whether outcomes can be published. While they cannot, no command is begun: a message to a customer whose
// outcome finds no room would be one that nobody is told of.
type outlet struct {
	bus   *bus.Bus
	probe *service.Probe
	now   func() time.Time

	mu      sync.Mutex
	shut    chan struct{} // not nil while shut; closed when it opens
	refused time.Time     // when the broker last refused an outcome
}

const (
	outletEvery = 5 * time.Second  // between two looks at the stream
	outletDoubt = 10 * time.Second // so long after a refusal a look alone does not open it
	outletRoom  = 1 << 20          // bytes that must be left: some outcomes for every lane
)

// wait returns when outcomes can be published, and whether that took any time; or an error when we are told to stop.
func (o *outlet) wait(ctx context.Context, stopping <-chan struct{}) (waited bool, err error) {
	for {
		o.mu.Lock()
		shut := o.shut
		o.mu.Unlock()
		if shut == nil {
			return waited, nil
		}
		waited = true
		select {
		case <-shut:
		case <-stopping:
			return waited, context.Canceled
		case <-ctx.Done():
			return waited, ctx.Err()
		}
	}
}

// result takes note of a publish. Those that the stream refuses are tried again by their commands, which so find out when
// there is room.
func (o *outlet) result(err error) {
	switch {
	case err == nil:
		o.set("")
	case errors.Is(err, bus.ErrFull), errors.Is(err, bus.ErrResources), errors.Is(err, bus.ErrNoStream):
		o.mu.Lock()
		o.refused = o.now()
		o.mu.Unlock()
		o.set("outcomes cannot be published: " + bus.Reason(err))
	}
}

// set opens it for "", and else shuts it for this reason.
func (o *outlet) set(why string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	switch {
	case why == "" && o.shut != nil:
		close(o.shut)
		o.shut = nil
	case why != "" && o.shut == nil:
		o.shut = make(chan struct{})
	}
	if why == "" {
		o.probe.OK()
	} else {
		o.probe.Fail(why)
	}
}

// watch looks, and says so where it cannot.
func (o *outlet) watch(ctx context.Context) {
	if err := o.look(ctx); err != nil && ctx.Err() == nil {
		o.probe.Fail("outcomes cannot be looked at: " + bus.Reason(err))
	}
}

// look compares what the stream holds with what it may hold.
func (o *outlet) look(ctx context.Context) error {
	st, err := o.bus.JS.Stream(ctx, events.StreamOutcome)
	if err != nil {
		return fmt.Errorf("look at %s: %w", events.StreamOutcome, bus.Classify(err))
	}
	have, may := st.CachedInfo().State, st.CachedInfo().Config
	full := may.MaxMsgs > 0 && have.Msgs >= uint64(may.MaxMsgs) ||
		may.MaxBytes > 0 && have.Bytes+min(outletRoom, uint64(may.MaxBytes)/10) > uint64(may.MaxBytes)
	o.mu.Lock()
	doubt := o.now().Sub(o.refused) < outletDoubt
	o.mu.Unlock()
	switch {
	case full:
		o.set(events.StreamOutcome + " is full")
	case !doubt:
		o.set("")
	}
	return nil
}
