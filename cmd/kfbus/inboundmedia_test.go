package main

import (
	"encoding/json"
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// In `dev` a customer's voice lies in the object store a moment later, where any client finds it.
func TestInboundMediaOnTheStack(t *testing.T) {
	s := startStack(t)
	message, stored := s.subscribe("kf.message.>"), s.subscribe("kf.event.*.*.media_stored.>")
	for _, msgType := range events.MediaTypes() {
		if _, err := s.sim.Say(kfsim.Say{OpenKfID: s.kf(), ExternalUserID: s.user(), MsgType: msgType, Sample: true}); err != nil {
			t.Fatal(err)
		}
		var e, of struct {
			ID, Source, CausationID, DataRef string
			Data                             struct{ MsgType, Bucket, Object string }
		}
		if err := json.Unmarshal(message().Data, &of); err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(stored().Data, &e); err != nil {
			t.Fatal(err)
		}
		if e.CausationID != of.ID || e.Source != of.Source || e.Data.MsgType != msgType || e.DataRef != e.Data.Bucket+"/"+e.Data.Object {
			t.Errorf("%s: got %+v after %+v", msgType, e, of)
		}
		js, err := jetstream.New(s.nc)
		if err != nil {
			t.Fatal(err)
		}
		bucket, err := js.ObjectStore(t.Context(), e.Data.Bucket)
		if err != nil {
			t.Fatal(err)
		}
		if data, err := bucket.GetBytes(t.Context(), e.Data.Object); err != nil || len(data) == 0 {
			t.Errorf("%s: %d bytes, %v", msgType, len(data), err)
		}
	}
}
