package bus

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

func TestClassify(t *testing.T) {
	api := func(code jetstream.ErrorCode, text string) error {
		return &jetstream.APIError{ErrorCode: code, Description: text}
	}
	temporary := map[string]bool{"disconnected": true, "no_answer": true, "unavailable": true, "in_flight": true, "batch_busy": true, "batch_cut": true}
	for _, c := range []struct {
		name string
		err  error
		want error
		word string
	}{
		{"somebody else wrote, R1", api(10071, "wrong last sequence: 7"), ErrConflict, "conflict"},
		{"somebody else wrote, R3", api(10164, "wrong last sequence"), ErrConflict, "conflict"},
		{"one doorbell waits already", api(10077, "maximum messages per subject exceeded"), ErrCovered, "covered"},
		{"the stream is full", api(10077, "maximum messages exceeded"), ErrFull, "full"},
		{"the stream is full of bytes", api(10077, "maximum bytes exceeded"), ErrFull, "full"},
		{"the broker is full", api(10023, "insufficient resources"), ErrResources, "no_resources"},
		{"the batch is too large", api(10199, "x"), ErrBatchSize, "batch_size"},
		{"an id in the batch is known", api(10201, "x"), ErrBatchRepeat, "batch_repeat"},
		{"too many batches", api(10210, "x"), ErrBatchBusy, "batch_busy"},
		{"the batch's leader went away", api(10176, "x"), ErrBatchCut, "batch_cut"},
		{"the id is just being stored, R3", api(10158, "x"), ErrInFlight, "in_flight"},
		{"an election", api(10008, "x"), ErrUnavailable, "unavailable"},
		{"no leader of a cluster", api(10009, "x"), ErrUnavailable, "unavailable"},
		{"nothing there", api(10037, "no message found"), ErrNotFound, "not_found"},
		{"no stream", nats.ErrNoResponders, ErrNoStream, "no_stream"},
		{"no stream, jetstream's word", jetstream.ErrNoStreamResponse, ErrNoStream, "no_stream"},
		{"away", nats.ErrReconnectBufExceeded, ErrDisconnected, "disconnected"},
		{"closed", nats.ErrConnectionClosed, ErrDisconnected, "disconnected"},
		{"time is up", context.DeadlineExceeded, ErrUnknown, "no_answer"},
		{"the caller gave up", context.Canceled, ErrUnknown, "no_answer"},
		{"the client's time is up", nats.ErrTimeout, ErrUnknown, "no_answer"},
		{"an ack that never came", jetstream.ErrAsyncPublishTimeout, ErrUnknown, "no_answer"},
		{"cut off in between", nats.ErrDisconnected, ErrUnknown, "no_answer"},
	} {
		for _, err := range []error{c.err, fmt.Errorf("deep: %w", c.err), Classify(c.err)} {
			got := Classify(err)
			if !errors.Is(got, c.want) || !errors.Is(got, c.err) {
				t.Errorf("%s: got %v, want %v around %v", c.name, got, c.want, c.err)
			}
			if w := Reason(got); w != c.word {
				t.Errorf("%s: reason %s, want %s", c.name, w, c.word)
			}
			if Temporary(got) != temporary[c.word] {
				t.Errorf("%s: temporary is %v, want %v", c.name, Temporary(got), temporary[c.word])
			}
		}
	}
	other := errors.New("other")
	if got := Classify(other); !errors.Is(got, other) || Reason(got) != "other" {
		t.Errorf("got %v", got)
	}
	if Classify(nil) != nil {
		t.Error("nil became an error")
	}
}

func TestJudge(t *testing.T) {
	boom := errors.New("boom")
	for _, c := range []struct {
		name      string
		err       error
		delivered uint64
		want      Verdict
	}{
		{"done", nil, 1, Verdict{Verb: Ack}},
		{"poison", Drop("invalid", boom), 1, Verdict{Verb: Bury, Reason: "invalid"}},
		{"poison inside", fmt.Errorf("x: %w", Drop("invalid", boom)), 9, Verdict{Verb: Bury, Reason: "invalid"}},
		{"later", After(3*time.Second, boom), 1, Verdict{Verb: Retry, After: 3 * time.Second}},
		{"we stop", context.Canceled, 5, Verdict{Verb: Retry}},
		{"first failure", boom, 1, Verdict{Verb: Retry, After: 250 * time.Millisecond}},
		{"second", boom, 2, Verdict{Verb: Retry, After: 500 * time.Millisecond}},
		{"tenth", boom, 10, Verdict{Verb: Retry, After: 30 * time.Second}},
		{"endless", boom, 1 << 60, Verdict{Verb: Retry, After: 30 * time.Second}},
	} {
		if got := Judge(c.err, c.delivered); got != c.want {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
	}
	if !errors.Is(Drop("x", boom), boom) || !errors.Is(After(1, boom), boom) {
		t.Error("the cause is lost")
	}
}

func TestTTLText(t *testing.T) {
	for d, want := range map[time.Duration]string{0: "", Forever: "never", time.Millisecond: "1s", 90 * time.Second: "1m30s", 1500 * time.Millisecond: "1s"} {
		if got := ttlText(d); got != want {
			t.Errorf("%v: got %q, want %q", d, got, want)
		}
	}
}

func TestConfigValidate(t *testing.T) {
	for name, c := range map[string]Config{
		"two identities":      {NkeyFile: "a", CredsFile: "b"},
		"certificate, no key": {CertFile: "a"},
		"a mode of no kind":   {EventMode: "xml"},
	} {
		if c.Validate() == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if err := (Config{}).Validate(); err != nil {
		t.Error(err)
	}
}

func TestConnectHidesPasswords(t *testing.T) {
	err := redact(errors.New("dial nats://me:hunter2@host:1: refused"), "nats://me:hunter2@host:1")
	if got := err.Error(); got != "dial [url]: refused" {
		t.Errorf("got %s", got)
	}
}
