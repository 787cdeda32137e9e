package media

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/media"
	"github.com/kfbus/kfbus/internal/tokens"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

func TestJudge(t *testing.T) {
	refusal := func(code int) error {
		return fmt.Errorf("from byte 7 on: %w", &kfapi.Error{Op: "media/get", Code: code})
	}
	for _, c := range []struct {
		name   string
		err    error
		act    act
		reason string
	}{
		{"done", nil, done, ""},
		{"too old, or wrong", refusal(40007), giveUp, events.MediaExpired},
		{"too large", &media.TooLargeError{Size: 7, Max: 6}, giveUp, events.MediaTooLarge},
		{"no id that could be sent", &kfapi.LimitError{Field: "media_id"}, giveUp, events.MediaUnreadable},
		{"rate limit", refusal(45009), shut, ""},
		{"too many at once, or of this file", refusal(45033), shut, ""},
		{"busy", refusal(-1), later, ""},
		{"busy inside", refusal(6000), later, ""},
		{"token refused twice", refusal(40014), later, ""},
		{"address not allowed: a person may mend it", refusal(60020), later, ""},
		{"unknown code", refusal(987654), later, ""},
		{"no token", fmt.Errorf("%w: %w", tokens.ErrNone, context.Canceled), wait, ""},
		{"cut", &kfapi.TransportError{Op: "media/get", Written: true, Err: io.ErrUnexpectedEOF}, later, ""},
		{"not the platform's answer", &kfapi.BodyError{Op: "media/get", Status: 502}, later, ""},
		{"no room for the file", &media.StoreError{Err: bus.ErrFull}, later, ""},
		{"nobody knows whether it is shut", &gateError{bus.ErrDisconnected}, lane, ""},
		{"anything else", errors.New("?"), later, ""},
	} {
		if a, reason := judge(c.err); a != c.act || reason != c.reason {
			t.Errorf("%s: got %d %q, want %d %q", c.name, a, reason, c.act, c.reason)
		}
	}
}

// In three days a file is asked for some eighty times, so that no day's outage loses it.
func TestBackoff(t *testing.T) {
	w := defaultWaits()
	for tries, want := range map[int]time.Duration{1: 5 * time.Second, 2: 10 * time.Second, 9: 1280 * time.Second, 11: time.Hour, 1000: time.Hour} {
		if got := w.backoff(tries); got != want {
			t.Errorf("after %d: got %v, want %v", tries, got, want)
		}
	}
	n := 0
	for d := time.Duration(0); d < life; d += w.backoff(n) {
		n++
	}
	if n < 70 || n > 100 {
		t.Errorf("%d tries in three days", n)
	}
}

func TestConfig(t *testing.T) {
	good := Config{Types: []string{"image", "voice"}, MaxBytes: map[string]int64{"image": 1 << 20}, Workers: 4}
	if err := good.Validate(); err != nil || good.max("image") != 1<<20 || good.max("voice") != 20<<20 {
		t.Errorf("got %v, %d, %d", err, good.max("image"), good.max("voice"))
	}
	for _, c := range []struct {
		variable string
		change   func(*Config)
	}{
		{"KF_SYNCER_MEDIA_TYPES", func(c *Config) { c.Types = []string{"text"} }},
		{"KF_SYNCER_MEDIA_MAX_BYTES", func(c *Config) { c.MaxBytes = map[string]int64{"pictures": 1} }},
		{"KF_SYNCER_MEDIA_MAX_BYTES", func(c *Config) { c.MaxBytes = map[string]int64{"image": 0} }},
		{"KF_SYNCER_MEDIA_MAX_BYTES", func(c *Config) { c.MaxBytes = map[string]int64{"image": 1 << 40} }},
		{"KF_SYNCER_MEDIA_WORKERS", func(c *Config) { c.Workers = 0 }},
		{"KF_SYNCER_MEDIA_WORKERS", func(c *Config) { c.Workers = 65 }},
	} {
		bad := good
		c.change(&bad)
		if err := bad.Validate(); err == nil || !strings.Contains(err.Error(), c.variable) {
			t.Errorf("%s: got %v, want an error that names it", c.variable, err)
		}
	}
}
