package syncer

import (
	"context"
	"time"

	"github.com/kfbus/kfbus/pkg/kfapi"
)

// ahead is a page that is asked for while the one before it is being stored. What it holds counts for nothing until that
// one is: if it is not, the page is dropped and asked for again from the cursor that the broker has.
type ahead struct {
	cursor string // it was asked for with
	stop   context.CancelFunc
	done   chan struct{} // closed when what follows is there

	asked time.Time
	page  kfapi.SyncMsgResponse
	err   error
	token string // the callback's, or "" if the platform did not take it
}

// lookAhead asks for the page behind the one that is about to be stored.
func (t *turn) lookAhead(ctx context.Context, cursor string) {
	ctx, stop := context.WithCancel(ctx)
	a := &ahead{cursor: cursor, stop: stop, done: make(chan struct{}), asked: t.s.now()}
	puller := *t // the turn goes on meanwhile
	puller.at.Cursor.Cursor = cursor
	t.ahead = a
	go func() {
		defer close(a.done)
		a.page, a.err = puller.pull(ctx)
		a.token = puller.token
	}()
}

// next returns the page at the cursor, and when it was asked for.
func (t *turn) next(ctx context.Context) (page kfapi.SyncMsgResponse, asked time.Time, err error) {
	a := t.ahead
	if a == nil || a.cursor != t.at.Cursor.Cursor { // the page before it was not stored
		t.drop()
		asked = t.s.now()
		page, err = t.pull(ctx)
		return page, asked, err
	}
	t.ahead = nil
	<-a.done // ends with ctx
	a.stop()
	t.token = a.token
	return a.page, a.asked, a.err
}

// drop gives up what was asked for ahead.
func (t *turn) drop() {
	if t.ahead != nil {
		t.ahead.stop()
		<-t.ahead.done
		t.ahead = nil
	}
}
