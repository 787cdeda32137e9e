package conformance

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/kfbus/kfbus/pkg/kfapi"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

const (
	corpID   = "ww0000000000000001"
	desk     = "wkDESK"
	ann      = "wmANN"
	bob      = "wmBOB"
	pageLink = "https://e.example/a?b=1&c=2"
)

// now is where the platform's clock stands when a world begins: 11:04:05 at UTC+8.
func now() time.Time { return time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC) }

// world is the platform behind a real connection, with one corp of two apps, one account and two customers, and a client
// that holds a token of the first app.
type world struct {
	*kfsim.Sim
	t     *testing.T
	c     *kfapi.Client
	token string
	// alter changes the next request on its way, once: for what the client itself would never send.
	alter func(*http.Request)
	wire  *http.Transport
}

func newWorld(t *testing.T) *world {
	t.Helper()
	sim, err := kfsim.New(kfsim.Config{Seed: 1, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewServer(sim.Platform())
	t.Cleanup(srv.Close)
	t.Cleanup(sim.Close) // before the server, which waits for calls that hang
	w := &world{Sim: sim, t: t, wire: &http.Transport{}}
	t.Cleanup(w.wire.CloseIdleConnections)
	w.c, err = kfapi.New(kfapi.Config{BaseURL: srv.URL, OfficialBaseURL: srv.URL, HTTP: &http.Client{Transport: w}, Now: sim.Clock().Now})
	w.must(err)
	w.furnish()
	w.token = w.app("secret-one")
	return w
}

func (w *world) furnish() {
	w.t.Helper()
	_, err := w.AddCorp(kfsim.Corp{
		CorpID: corpID, Secrets: []string{"secret-one", "secret-two"}, AgentID: "1000002", IPList: []string{"101.226.103.0/25", "203.0.113.7"},
		Members: []string{"lisi", "wang"}, Departments: []kfsim.Department{{ID: 2, Members: []string{"sun"}}, {ID: 3, Members: []string{"qian"}}},
	})
	w.must(err)
	_, err = w.AddAccount(kfsim.Account{OpenKfID: desk, Name: "desk", Avatar: "https://img.example/desk/0"})
	w.must(err)
	for _, c := range []kfsim.Customer{
		{ExternalUserID: ann, Nickname: "Ann", Avatar: "https://img.example/ann", Gender: 2, UnionID: "oANN"},
		{ExternalUserID: bob, Nickname: "Bob"},
	} {
		_, err = w.AddCustomer(c)
		w.must(err)
	}
}

// RoundTrip is the client's way to the platform.
func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	if alter := w.alter; alter != nil {
		w.alter = nil
		r = r.Clone(r.Context())
		alter(r)
	}
	return w.wire.RoundTrip(r)
}

// body replaces the next request's body, of which the client knows nothing.
func (w *world) body(contentType, body string) {
	w.alter = func(r *http.Request) {
		r.Header.Set("Content-Type", contentType)
		r.Body, r.ContentLength = io.NopCloser(strings.NewReader(body)), int64(len(body))
	}
}

// query changes one parameter of the next request; empty takes it away.
func (w *world) query(name, value string) {
	w.alter = func(r *http.Request) {
		q := r.URL.Query()
		q.Set(name, value)
		if value == "" {
			q.Del(name)
		}
		r.URL.RawQuery = q.Encode()
	}
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// app is a token of the app with this secret.
func (w *world) app(secret string) string {
	w.t.Helper()
	got, err := w.c.GetToken(w.t.Context(), corpID, secret)
	w.must(err)
	return got.AccessToken
}

// later moves the platform's clock and takes a living token.
func (w *world) later(d time.Duration) {
	w.t.Helper()
	w.Clock().Advance(d)
	w.token = w.app("secret-one")
}

// corp changes what the administrator decided.
func (w *world) corp(change func(*kfsim.Corp)) {
	w.t.Helper()
	w.must(w.UpdateCorp(corpID, func(c *kfsim.Corp) error { change(c); return nil }))
}

// likes gives the platform another personality.
func (w *world) likes(p kfsim.Personality) {
	w.t.Helper()
	w.must(w.SetPersonality(p))
}

func (w *world) says(user, text string) string {
	w.t.Helper()
	id, err := w.CustomerSays(desk, user, text)
	w.must(err)
	return id
}

func (w *world) servicer(userID string, status kfsim.ServicerState) {
	w.t.Helper()
	w.must(w.AddServicer(kfsim.Servicer{OpenKfID: desk, UserID: userID, Status: status}))
}

// file uploads a picture, the smallest that passes, or what kind says.
func (w *world) file(kind string) string {
	w.t.Helper()
	name, data := sample(kind)
	got, err := w.c.MediaUpload(w.t.Context(), w.token, kind, name, "", bytes.NewReader(data), int64(len(data)))
	w.must(err)
	return got.MediaID
}

// sample is the smallest file that passes for a kind.
func sample(kind string) (name string, data []byte) {
	switch kind {
	case kfapi.MediaImage:
		return "a.png", []byte("\x89PNG\r\n\x1a\n")
	case kfapi.MediaVoice:
		return "a.amr", []byte("#!AMR\n\x44sample")
	case kfapi.MediaVideo:
		return "a.mp4", []byte("\x00\x00\x00\x18ftypmp42")
	}
	return "a.txt", []byte("sample")
}

// raw makes a call with a body, or for GET a query, that the client does not check.
func (w *world) raw(path, parameters string) error {
	e, ok := kfapi.LookupEndpoint(path)
	if !ok {
		w.t.Fatalf("there is no call %s", path)
	}
	if e.Method == http.MethodGet {
		return w.c.Do(w.t.Context(), w.token, e.Method, "/cgi-bin/"+path+"?"+asQuery(w.t, parameters), nil, nil)
	}
	return w.c.Do(w.t.Context(), w.token, e.Method, "/cgi-bin/"+path, json.RawMessage(parameters), nil)
}

// asQuery is a flat JSON object as a query.
func asQuery(t *testing.T, object string) string {
	t.Helper()
	var all map[string]string
	if err := json.Unmarshal([]byte(object), &all); err != nil {
		t.Fatalf("%s: %v", object, err)
	}
	q := url.Values{}
	for name, value := range all {
		q.Set(name, value)
	}
	return q.Encode()
}

// fine checks what every reply of a success has.
func (w *world) fine(r kfapi.Reply) {
	w.t.Helper()
	same(w.t, "errmsg", r.ErrMsg, "ok")
	if !json.Valid(r.Raw) {
		w.t.Errorf("Raw is not the JSON of the reply: %q", r.Raw)
	}
}

// refused checks that err is a refusal with this errcode.
func (w *world) refused(what string, err error, want int) {
	w.t.Helper()
	var e *kfapi.Error
	switch {
	case !errors.As(err, &e):
		w.t.Errorf("%s: got %v, want errcode %d", what, err, want)
	case e.Code != want:
		w.t.Errorf("%s: got errcode %d (%s), want %d", what, e.Code, e.Msg, want)
	}
}

// got is the value of a call that must succeed: got(w.c.AccountList(…))(w).
func got[T any](v T, err error) func(*world) T {
	return func(w *world) T {
		w.t.Helper()
		w.must(err)
		return v
	}
}

func same[T any](t *testing.T, what string, got, want T) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%s: got %s, want %s", what, show(got), show(want))
	}
}

func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// sameJSON compares two texts as JSON.
func sameJSON(t *testing.T, what string, got, want []byte) {
	t.Helper()
	var g, w any
	if json.Unmarshal(got, &g) != nil || json.Unmarshal(want, &w) != nil {
		t.Errorf("%s: got %s, want %s, and one of them is no JSON", what, got, want)
		return
	}
	same(t, what, g, w)
}

// ptr is a pointer to v.
func ptr[T any](v T) *T { return &v }
