package syncer

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

func TestEveryMessageOnceInOrder(t *testing.T) {
	w := newWorld(t)
	s := w.syncer()
	s.ready(true, "")
	const n = 2500
	w.says(desk, n)
	w.wait(desk)
	rows := w.wantAll(desk)
	for i, r := range rows {
		if r.seq != events.SeqString(uint64(i+1)) {
			t.Fatalf("item %d: got kfseq %s", i, r.seq)
		}
		if r.subject != "kf.message.ww1.wkDESK.text.wmANN" || r.history {
			t.Fatalf("item %d: got %s, history %v", i, r.subject, r.history)
		}
		if !strings.HasPrefix(r.trace, testTrace[:36]) || r.trace == testTrace {
			t.Fatalf("item %d: got trace %s, want a step in the doorbell's", i, r.trace)
		}
	}
	if c := w.cursor(desk); c.Seq != n || c.Newest == 0 || c.PulledAt.IsZero() || len(c.Previous) == 0 {
		t.Errorf("got cursor %+v", c)
	}
	if got := s.counted("kf_syncer_items_total", "message"); got != n {
		t.Errorf("items counted: got %d, want %d", got, n)
	}
}

func TestEventsAndMessages(t *testing.T) {
	w := newWorld(t)
	w.syncer()
	_, err := w.sim.Enter(kfsim.Enter{OpenKfID: desk, ExternalUserID: ann})
	w.must(err)
	w.says(desk, 1)
	_, err = w.sim.Say(kfsim.Say{OpenKfID: desk, ExternalUserID: ann, MsgType: "location", Body: []byte(`{"latitude":39.90420000,"longitude":1e2,"n":9007199254740993}`)})
	w.must(err)
	w.wait(desk)
	rows := w.wantAll(desk)
	for i, want := range []string{"kf.event.ww1.wkDESK.enter_session.wmANN", "kf.message.ww1.wkDESK.text.wmANN", "kf.message.ww1.wkDESK.location.wmANN"} {
		if rows[i].subject != want {
			t.Errorf("item %d: got %s, want %s", i, rows[i].subject, want)
		}
	}
}

// TestMessagesThatComeWhileAPageIsInHand: each of them rings when the page that does not have it has been answered already.
func TestMessagesThatComeWhileAPageIsInHand(t *testing.T) {
	w := newWorld(t)
	var left atomic.Int64
	left.Store(30)
	w.syncer(with(calls{after: func(context.Context, kfapi.SyncMsgRequest, *kfapi.SyncMsgResponse) {
		if left.Add(-1) >= 0 {
			w.says(desk, 1)
		}
	}}))
	w.says(desk, 1)
	testkit.Eventually(t, "all of them", func() bool { return w.cursor(desk).Seq == 31 }) // nobody sweeps
	w.wait(desk)
	w.wantAll(desk)
}
