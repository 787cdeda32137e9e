package console

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/pkg/events"
)

// watchConversations puts every change of kf_conversations into the feed, values
// that are there already first. The bucket may be made after the console starts.
func (c *Console) watchConversations(ctx context.Context) error {
	w, err := c.watcher(ctx)
	if ctx.Err() != nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("console: watch %s: %w", events.BucketConversations, err)
	}
	defer func() { _ = w.Stop() }() // the connection ends with the process
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, open := <-w.Updates():
			if !open && ctx.Err() != nil {
				return nil
			}
			if !open {
				return fmt.Errorf("console: watch %s: the broker ended it", events.BucketConversations)
			}
			if e != nil { // nil: all that was there has come
				c.changed(e)
			}
		}
	}
}

// watcher waits until the bucket is there.
func (c *Console) watcher(ctx context.Context) (jetstream.KeyWatcher, error) {
	tick := time.NewTicker(c.pause)
	defer tick.Stop()
	for told := false; ; told = true {
		kv, err := c.cfg.Bus.JS.KeyValue(ctx, events.BucketConversations)
		if err == nil {
			return kv.WatchAll(ctx)
		}
		if !told && ctx.Err() == nil {
			c.cfg.Log.Warn().Err(err).Str("bucket", events.BucketConversations).Msg("console waits for the bucket")
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
		}
	}
}

// changed passes a value on as it is; of a key that was removed or has expired, null.
func (c *Console) changed(e jetstream.KeyValueEntry) {
	m := struct {
		Key   string               `json:"key"`
		Value *events.Conversation `json:"value"`
	}{Key: e.Key()}
	if e.Operation() == jetstream.KeyValuePut {
		if err := json.Unmarshal(e.Value(), &m.Value); err != nil {
			c.cfg.Log.Warn().Str("key", e.Key()).Msg("console: the value is no conversation")
			return
		}
	}
	c.feed.set("conversation "+e.Key(), "conversation", oneLine(m))
}
