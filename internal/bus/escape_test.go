package bus_test

import (
	"encoding/json"
	"testing"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/events"
)

func TestAttributesAreEscaped(t *testing.T) {
	for _, id := range []string{"plain-1", `quote"`, `back\slash`, "<&>", "\x7f", "tab\tinside", "中文 🙂", "~"} {
		e, err := events.Own(id, "/test", "x.y", map[string]int{"n": 1})
		if err != nil {
			t.Fatal(err)
		}
		body, h, err := bus.Encode(e, bus.ModeStructured)
		if err != nil || !json.Valid(body) {
			t.Errorf("%q: got %s, %v; want JSON", id, body, err)
			continue
		}
		if back, err := bus.Decode(h, body); err != nil || back.ID() != id {
			t.Errorf("%q: got %q, %v", id, back.ID(), err)
		}
	}
}
