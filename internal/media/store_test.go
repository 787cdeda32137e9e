package media

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// rig is a broker and a simulated platform.
type rig struct {
	testing.TB
	bus    *bus.Bus
	sim    *kfsim.Sim
	client *kfapi.Client
	token  string
}

func newRig(t testing.TB) *rig {
	t.Helper()
	r := &rig{TB: t}
	r.bus, _ = testkit.Bus(t)
	var err error
	r.sim, err = kfsim.New(kfsim.Config{Seed: 1})
	r.must(err)
	srv := httptest.NewServer(r.sim.Platform())
	t.Cleanup(func() { r.sim.Close(); srv.CloseClientConnections(); srv.Close() })
	_, err = r.sim.AddCorp(kfsim.Corp{CorpID: "ww1", Secrets: []string{"secret"}})
	r.must(err)
	r.client, err = kfapi.New(kfapi.Config{BaseURL: srv.URL})
	r.must(err)
	resp, err := http.Get(srv.URL + "/cgi-bin/gettoken?" + url.Values{"corpid": {"ww1"}, "corpsecret": {"secret"}}.Encode())
	r.must(err)
	defer resp.Body.Close()
	var got struct {
		AccessToken string `json:"access_token"`
	}
	r.must(json.NewDecoder(resp.Body).Decode(&got))
	r.token = got.AccessToken
	return r
}

func (r *rig) must(err error) {
	r.Helper()
	if err != nil {
		r.Fatal(err)
	}
}

func (r *rig) add(name string, data []byte) Open {
	r.Helper()
	id, err := r.sim.AddMedia(kfsim.Media{Type: "file", FileName: name, Data: data})
	r.must(err)
	return func(ctx context.Context, rng kfapi.Range) (*kfapi.Media, error) {
		return r.client.MediaGet(ctx, r.token, id, rng)
	}
}

func (r *rig) fault(f kfsim.Fault) {
	r.Helper()
	f.Path = "media/get"
	_, err := r.sim.AddFault(f)
	r.must(err)
}

func (r *rig) wantObject(name string, want []byte) {
	r.Helper()
	store, err := r.bus.JS.ObjectStore(testkit.Context(r), events.BucketMedia)
	r.must(err)
	got, err := store.GetBytes(testkit.Context(r), name)
	if err != nil || !bytes.Equal(got, want) {
		r.Errorf("%s: %d bytes, %v; want %d", name, len(got), err, len(want))
	}
}

func (r *rig) wantNothing(name string) {
	r.Helper()
	if o, err := r.bus.Object(testkit.Context(r), events.BucketMedia, name); !errors.Is(err, bus.ErrNotFound) {
		r.Errorf("%s: got %+v, %v; want nothing stored", name, o, err)
	}
}

func noise(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(b)
	return b
}

var quick = Limits{Stall: time.Second}

func TestCutIsMended(t *testing.T) {
	for _, c := range []struct {
		name  string
		size  int
		fault kfsim.Fault
		calls int
		after int // more connections that fail
	}{
		{"cut once", 300_000, kfsim.Fault{Kind: kfsim.FaultCutAfter, Count: 1}, 2, 0},
		{"cut again and again, each time after some bytes", 300_000, kfsim.Fault{Kind: kfsim.FaultCutAfter, Count: 6}, 7, 0},
		{"cut, then two connections that fail", 300_000, kfsim.Fault{Kind: kfsim.FaultCutAfter, Count: 1}, 4, 2},
		{"second part hangs", 2*maxPart + 12345, kfsim.Fault{Kind: kfsim.FaultAcceptThenHang, After: 2, Count: 1}, 5, 0},
		{"second part is cut", 2*maxPart + 12345, kfsim.Fault{Kind: kfsim.FaultCutAfter, After: 2, Count: 1}, 4, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			want := noise(c.size)
			open := r.add("a.bin", want)
			r.fault(c.fault)
			if c.after > 0 {
				r.fault(kfsim.Fault{Kind: kfsim.FaultHTTP500Before, Count: c.after})
			}
			o, err := Store(testkit.Context(t), r.bus, "x", open, quick)
			if err != nil || o.Size != uint64(len(want)) {
				t.Fatalf("got %+v, %v", o, err)
			}
			r.wantObject("x", want)
			if n := r.sim.Calls("media/get"); n != c.calls {
				t.Errorf("%d requests, want %d", n, c.calls)
			}
		})
	}
}

func TestWhatIsNoFileIsNotStored(t *testing.T) {
	for _, c := range []struct {
		name   string
		fault  kfsim.Fault
		limits Limits
		want   func(error) bool
	}{
		{"refused", kfsim.Fault{Kind: kfsim.FaultErrCode, ErrCode: 40007}, quick, code(40007)},
		{"an error that is JSON", kfsim.Fault{Kind: kfsim.FaultGarbageAfter, Body: `{"errcode":987654}`}, quick, code(987654)},
		{"half an error", kfsim.Fault{Kind: kfsim.FaultGarbageAfter}, quick, odd},
		{"errcode 0 and no file", kfsim.Fault{Kind: kfsim.FaultGarbageAfter, Body: `{"errcode":0,"errmsg":"ok"}`}, quick, odd},
		{"a page of a proxy", kfsim.Fault{Kind: kfsim.FaultGarbageAfter, Body: "<html>welcome to the hotel</html>"}, quick, odd},
		{"nothing", kfsim.Fault{Kind: kfsim.FaultGarbageAfter, Body: " "}, quick, odd},
		{"500", kfsim.Fault{Kind: kfsim.FaultHTTP500After}, quick, odd},
		{"redirect", kfsim.Fault{Kind: kfsim.FaultRedirect}, quick, odd},
		{"hangs", kfsim.Fault{Kind: kfsim.FaultAcceptThenHang}, quick, timeout},
		{"too large", kfsim.Fault{Kind: kfsim.FaultLatency, Delay: time.Millisecond}, Limits{Max: 99_999}, func(err error) bool {
			var e *TooLargeError
			return errors.As(err, &e) && e.Size == 100_000 && e.Max == 99_999
		}},
		{"text where a picture must be", kfsim.Fault{Kind: kfsim.FaultLatency, Delay: time.Millisecond}, Limits{Binary: true}, odd},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			open := r.add("a.txt", []byte(strings.Repeat("a text ", 100_000)[:100_000]))
			r.fault(c.fault)
			_, err := Store(testkit.Context(t), r.bus, "x", open, c.limits)
			if !c.want(err) {
				t.Errorf("got %v", err)
			}
			r.wantNothing("x")
			if testkit.Context(t).Err() != nil || strings.Contains(err.Error(), r.token) {
				t.Errorf("the error holds the token, or the test's time is over: %v", err)
			}
			r.sim.RemoveFaults()
			c.limits.Max, c.limits.Binary = 0, false
			if _, err := Store(testkit.Context(t), r.bus, "x", open, c.limits); err != nil {
				t.Errorf("afterwards: %v", err)
			}
		})
	}
}

func code(want int) func(error) bool {
	return func(err error) bool { got, ok := kfapi.Code(err); return ok && got == want }
}

func odd(err error) bool { return errors.As(err, new(*kfapi.BodyError)) }

func timeout(err error) bool {
	return errors.As(err, new(*kfapi.TransportError)) && errors.Is(err, context.DeadlineExceeded)
}

// Parts without a byte end like cuts, and do not go on for ever.
func TestPartsThatAreEmpty(t *testing.T) {
	calls := 0
	d, err := begin(testkit.Context(t), func(context.Context, kfapi.Range) (*kfapi.Media, error) {
		calls++
		return &kfapi.Media{Body: http.NoBody, Partial: true, Length: -1, Total: 10}, nil
	}, nil, testkit.Patience)
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	if got, err := io.ReadAll(d); !odd(err) || len(got) > 0 || calls != 1+mends {
		t.Errorf("got %d bytes, %v after %d requests; want an error after %d", len(got), err, calls, 1+mends)
	}
}

// A file of which nobody says how long it is ends at its cap.
func TestCapWithoutLength(t *testing.T) {
	r := newRig(t)
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Disposition", `attachment; filename="a.bin"`)
		for range 10 {
			_, _ = w.Write(noise(100_000))
			_ = http.NewResponseController(w).Flush()
		}
	}))
	t.Cleanup(srv.Close)
	client, err := kfapi.New(kfapi.Config{BaseURL: srv.URL})
	r.must(err)
	open := func(ctx context.Context, rng kfapi.Range) (*kfapi.Media, error) {
		return client.MediaGet(ctx, "t", "m", rng)
	}
	_, err = Store(testkit.Context(t), r.bus, "x", open, Limits{Max: 999_999})
	if !errors.As(err, new(*TooLargeError)) {
		t.Errorf("got %v, want a TooLargeError", err)
	}
	r.wantNothing("x")
	if o, err := Store(testkit.Context(t), r.bus, "x", open, Limits{Max: 1_000_000}); err != nil || o.Size != 1_000_000 {
		t.Errorf("got %+v, %v; want all of it", o, err)
	}
}

// The platform's words about a file are not believed.
func TestTypeIsOfTheBytes(t *testing.T) {
	r := newRig(t)
	o, err := Store(testkit.Context(t), r.bus, "x", r.add("photo.png", []byte("#!AMR\n\x3c\x91\x17")), quick)
	if err != nil || o.Header.Get(HeaderType) != "audio/amr" || o.Header.Get(HeaderFilename) != "photo.png" {
		t.Errorf("got %+v, %v", o, err)
	}
	o, err = Store(testkit.Context(t), r.bus, "y", r.add("照片 1.json", []byte(`{"errcode":40007,"errmsg":"a file that a customer sent"}`)), quick)
	if err != nil || o.Header.Get(HeaderType) != TypeJSON || o.Header.Get(HeaderFilename) != "照片 1.json" {
		t.Errorf("a .json with a name is a file: got %+v, %v", o, err)
	}
}

// A store that is not there, or has no room, is said to be the store's fault.
func TestStoreError(t *testing.T) {
	r := newRig(t)
	r.must(r.bus.JS.DeleteObjectStore(testkit.Context(t), events.BucketMedia))
	_, err := Store(testkit.Context(t), r.bus, "x", r.add("a.bin", noise(1000)), quick)
	if !errors.As(err, new(*StoreError)) {
		t.Errorf("got %v, want a StoreError", err)
	}
}
