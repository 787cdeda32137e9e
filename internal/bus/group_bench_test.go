package bus_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/localnats"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
)

func appMessage(tb testing.TB, id string) bus.Message {
	tb.Helper()
	e, err := events.Own(id, "/test", "t", map[string]string{"text": fmt.Sprintf("%0500d", 7)})
	if err != nil {
		tb.Fatal(err)
	}
	return bus.Message{Subject: "kf.app.ww1.1.message.text.u1", Event: e, MsgID: id, Sound: true}
}

func BenchmarkGroup(b *testing.B) {
	for _, always := range []bool{true, false} {
		s := testkit.NATS(b, func(o *localnats.Options) { o.SyncAlways = always })
		bb := testkit.Connect(b, s, b.Name())
		if _, err := bb.Apply(testkit.Context(b), testkit.Small()); err != nil {
			b.Fatal(err)
		}
		g := bb.Group(time.Now)
		var n atomic.Int64
		for _, callers := range []int{16, 64, 256} {
			for _, how := range []string{"plain", "group"} {
				publish := bb.Publish
				if how == "group" {
					publish = g.Publish
				}
				b.Run(fmt.Sprintf("always=%v/%d/%s", always, callers, how), func(b *testing.B) {
					var wg sync.WaitGroup
					left := atomic.Int64{}
					left.Store(int64(b.N))
					for range callers {
						wg.Go(func() {
							for left.Add(-1) >= 0 {
								if _, _, err := publish(b.Context(), appMessage(b, fmt.Sprint(n.Add(1)))); err != nil {
									b.Error(err)
									return
								}
							}
						})
					}
					wg.Wait()
				})
			}
		}
	}
}
