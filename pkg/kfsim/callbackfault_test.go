package kfsim

import (
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/kfbus/kfbus/pkg/kfcrypto"
)

// mailbox takes callbacks without a network; it knows good ones from forged ones.
type mailbox struct {
	codec *kfcrypto.Codec

	mu  sync.Mutex
	got []delivery
}

type delivery struct {
	signed           bool
	nonce, timestamp string
	body             string
}

func (m *mailbox) RoundTrip(hr *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(hr.Body)
	if err != nil {
		return nil, err
	}
	env, err := kfcrypto.ScanEnvelope(body)
	if err != nil {
		return nil, err
	}
	q, status := hr.URL.Query(), http.StatusOK
	_, _, err = m.codec.Open(q.Get("msg_signature"), q.Get("timestamp"), q.Get("nonce"), env.Encrypt)
	if err != nil {
		status = http.StatusForbidden
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.got = append(m.got, delivery{err == nil, q.Get("nonce"), q.Get("timestamp"), string(body)})
	return &http.Response{StatusCode: status, Body: http.NoBody, Request: hr}, nil
}

// post sends the rig's callbacks to a mailbox, one worker, until the test ends.
func (r *rig) mail(m *mailbox) {
	r.t.Helper()
	r.mu.Lock()
	c := r.st.corps[corpA].Corp
	r.mu.Unlock()
	codec, err := kfcrypto.New(c.CallbackToken, c.EncodingAESKey, corpA)
	r.must(err)
	m.codec = codec
	r.must(r.SetCallback(CallbackSettings{CallbackURL: "http://mailbox.invalid/callback"}))
	done := make(chan error, 1)
	ctx := r.t.Context()
	go func() { done <- r.Run(ctx) }()
	r.t.Cleanup(func() { <-done })
}

func TestCallbackFaults(t *testing.T) {
	for _, c := range []struct {
		fault     Fault
		good, bad int // deliveries
		distinct  int // nonces among them
	}{
		{Fault{Kind: FaultCallbackLost}, 0, 0, 0},
		{Fault{Kind: FaultCallbackDuplicated}, 2, 0, 1},
		{Fault{Kind: FaultCallbackDelayed, Delay: time.Nanosecond}, 1, 0, 1},
		{Fault{Kind: FaultCallbackReordered, Delay: time.Nanosecond}, 1, 0, 1},
		{Fault{Kind: FaultCallbackRepeated}, 2, 0, 2},
		{Fault{Kind: FaultCallbackBadSignature}, 0, 3, 1},
		{Fault{Kind: FaultCallbackLost, OpenKfID: "wkOTHER"}, 1, 0, 1},
		{Fault{Kind: FaultCallbackLost, OpenKfID: kf}, 0, 0, 0},
	} {
		m := &mailbox{}
		r := newRig(t, Config{Transport: m, CallbackWorkers: 1})
		r.mail(m)
		c.fault.Count = 1
		_, err := r.AddFault(c.fault)
		r.must(err)
		r.says(ann, "the one that is struck")
		r.must(r.Settle(t.Context()))
		count := func() (good, bad, nonces int) {
			m.mu.Lock()
			defer m.mu.Unlock()
			var seen []string
			for _, d := range m.got {
				if d.signed {
					good++
				} else {
					bad++
				}
				if !slices.Contains(seen, d.nonce) {
					seen = append(seen, d.nonce)
				}
			}
			return good, bad, len(seen)
		}
		if good, bad, nonces := count(); good != c.good || bad != c.bad || nonces != c.distinct {
			t.Errorf("%s: got %d good, %d bad, %d nonces; want %d, %d, %d", c.fault.Kind, good, bad, nonces, c.good, c.bad, c.distinct)
		}
		if n := len(r.pull(nil).items()); n != 1 {
			t.Errorf("%s: got %d items, want the message", c.fault.Kind, n)
		}
		before, _, _ := count()
		if c.fault.OpenKfID == "wkOTHER" {
			continue
		}
		r.says(ann, "the next")
		r.must(r.Settle(t.Context()))
		if after, _, _ := count(); after != before+1 {
			t.Errorf("%s: the next callback came %d times, want once", c.fault.Kind, after-before)
		}
	}
}

func TestDelayedCallbackIsOvertaken(t *testing.T) {
	m, release := &mailbox{}, make(chan struct{})
	r := newRig(t, Config{Transport: m, CallbackWorkers: 1, Wait: waitFor(release)})
	r.mail(m)
	_, err := r.AddFault(Fault{Kind: FaultCallbackDelayed, Delay: time.Hour, Count: 1})
	r.must(err)
	r.says(ann, "late")
	r.says(ann, "at once")
	r.wait(KindDelivered, 1)
	close(release)
	r.must(r.Settle(t.Context()))
	var order []uint64
	for _, e := range r.kinds(KindDelivered) {
		order = append(order, e.Callback)
	}
	if want := []uint64{2, 1}; !slices.Equal(order, want) {
		t.Errorf("delivered %v, want %v", order, want)
	}
}
