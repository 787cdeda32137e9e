package console

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/pkg/kfsim"
)

// newConsole is a console without a broker, for what needs none.
func newConsole(t *testing.T) *Console {
	t.Helper()
	sim, err := kfsim.New(kfsim.Config{Seed: 1})
	must(t, err)
	t.Cleanup(sim.Close)
	w := &world{t: t, sim: sim}
	w.furnish()
	c, err := New(Config{Sim: sim, Bus: &bus.Bus{}, Corp: corp})
	must(t, err)
	return c
}

func TestNewSaysWhatIsMissing(t *testing.T) {
	sim, err := kfsim.New(kfsim.Config{})
	must(t, err)
	defer sim.Close()
	for name, cfg := range map[string]Config{
		"no simulator": {Bus: &bus.Bus{}, Corp: corp},
		"no bus":       {Sim: sim, Corp: corp},
		"no corp":      {Sim: sim, Bus: &bus.Bus{}},
	} {
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), "required") {
			t.Errorf("%s: got %v, want an error that says what is required", name, err)
		}
	}
}

func TestGuard(t *testing.T) {
	h := newConsole(t).Handler()
	const local = "127.0.0.1:8092"
	for _, c := range []struct {
		name, path, host, origin, site string
		want                           int
	}{
		{"an address", "/", local, "", "", 200},
		{"another loopback address", "/", "127.8.9.1:80", "", "", 200},
		{"localhost", "/", "localhost:8092", "", "", 200},
		{"localhost in capitals, no port", "/", "LOCALHOST", "", "", 200},
		{"IPv6", "/", "[::1]:8092", "", "", 200},
		{"IPv6 without port", "/", "[::1]", "", "", 200},
		{"a name that leads here", "/", "rebind.example:8092", "", "", 403},
		{"a name that begins like an address", "/", "127.0.0.1.example:8092", "", "", 403},
		{"a name that ends like ours", "/", "localhost.example", "", "", 403},
		{"another machine's address", "/", "192.168.1.7:8092", "", "", 403},
		{"every address", "/", "0.0.0.0:8092", "", "", 403},
		{"no host", "/", "", "", "", 403},
		{"own origin", "/api/state", local, "http://" + local, "same-origin", 200},
		{"another port", "/api/state", local, "http://127.0.0.1:9999", "same-site", 403},
		{"another name for us", "/api/state", local, "http://localhost:8092", "", 403},
		{"another origin", "/api/state", local, "https://evil.example", "cross-site", 403},
		{"another origin on the page", "/", local, "https://evil.example", "", 403},
		{"an origin that hides", "/api/state", local, "null", "", 403},
		{"an empty origin", "/api/state", local, "-", "", 403},
		{"a link from elsewhere to the page", "/", local, "", "cross-site", 200},
		{"an image from elsewhere", "/api/state", local, "", "cross-site", 403},
		{"typed into the address bar", "/api/state", local, "", "none", 200},
		{"a program", "/api/state", local, "", "", 200},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(http.MethodGet, c.path, nil)
			r.Host = c.host
			if c.origin != "" {
				r.Header.Set("Origin", strings.TrimPrefix(c.origin, "-"))
			}
			if c.site != "" {
				r.Header.Set("Sec-Fetch-Site", c.site)
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			if rec.Code != c.want {
				t.Fatalf("got %d, want %d: %s", rec.Code, c.want, rec.Body)
			}
			for name, want := range map[string]string{"Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff",
				"Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin"} {
				if got := rec.Header().Get(name); got != want {
					t.Errorf("%s: got %q, want %q", name, got, want)
				}
			}
			if c.want == 403 {
				wantRefusal(t, rec, "")
			}
		})
	}
	if !strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") || strings.Contains(policy, "unsafe") {
		t.Errorf("the policy is too wide: %s", policy)
	}
}

// wantRefusal checks that a refusal is JSON, says what about, and no more.
func wantRefusal(t *testing.T, rec *httptest.ResponseRecorder, about string) {
	t.Helper()
	var got map[string]string
	if err := json.Unmarshal(rec.Body.Bytes(), &got); err != nil || len(got) != 1 || got["error"] == "" {
		t.Fatalf("got %q, want {\"error\": …}", rec.Body)
	}
	if !strings.Contains(got["error"], about) {
		t.Errorf("got error %q, want something about %q", got["error"], about)
	}
	if strings.Contains(got["error"], canary) {
		t.Errorf("the error repeats what was sent: %q", got["error"])
	}
}

const canary = "canary-7c1d"

func TestRefusals(t *testing.T) {
	h := newConsole(t).Handler()
	const js = "application/json"
	who := `"open_kfid":"` + kfID + `","external_userid":"` + ann + `"`
	for _, c := range []struct {
		name, method, path, contentType, body string
		want                                  int
		about                                 string
	}{
		{"a form", "POST", "/api/say", "application/x-www-form-urlencoded", "text=" + canary, 415, "Content-Type"},
		{"text as a form of another page can send it", "POST", "/api/say", "text/plain", `{` + who + `,"text":"` + canary + `"}`, 415, "Content-Type"},
		{"no content type", "POST", "/api/say", "", `{}`, 415, "Content-Type"},
		{"half a JSON object", "POST", "/api/say", js, `{"text":"` + canary, 400, "parsed"},
		{"no object", "POST", "/api/say", js, `"` + canary + `"`, 400, "object"},
		{"nothing", "POST", "/api/say", js, ``, 400, "object"},
		{"two objects", "POST", "/api/say", js, `{` + who + `,"text":"a"}{}`, 400, "goes on"},
		{"a field that does not exist", "POST", "/api/say", js, `{"` + canary + `":1}`, 400, "field that does not exist"},
		{"a field of another type", "POST", "/api/say", js, `{"text":17}`, 400, "field text must be a string"},
		{"more than is read", "POST", "/api/say", js, `{"text":"` + strings.Repeat("x", maxRequest) + `"}`, 413, "bytes"},
		{"nobody", "POST", "/api/say", js, `{"text":"` + canary + `"}`, 400, "open_kfid"},
		{"an empty text", "POST", "/api/say", js, `{` + who + `,"text":" \n "}`, 400, "text is empty"},
		{"an unknown customer", "POST", "/api/say", js, `{"open_kfid":"` + kfID + `","external_userid":"wmX","text":"` + canary + `"}`, 400, "unknown"},
		{"an empty answer", "POST", "/api/answer", js, `{` + who + `,"text":""}`, 400, "text is empty"},
		{"an answer to nobody", "POST", "/api/answer", js, `{"text":"a"}`, 400, "open_kfid"},
		{"an answer that is no JSON", "POST", "/api/answer", js, canary, 400, "parsed"},
		{"an unknown act", "POST", "/api/act", js, `{"act":"` + canary + `"}`, 400, "none of enter, recall"},
		{"an act that is no JSON", "POST", "/api/act", js, `[`, 400, "parsed"},
		{"a recall of nothing", "POST", "/api/act", js, `{"act":"recall",` + who + `}`, 400, "no message"},
		{"a tap on nothing", "POST", "/api/act", js, `{"act":"tap",` + who + `}`, 400, "no menu"},
		{"a pick-up by nobody", "POST", "/api/act", js, `{"act":"pick_up",` + who + `}`, 400, "servicer"},
		{"a transfer by who does not hold it", "POST", "/api/act", js, `{"act":"transfer",` + who + `,"servicer_userid":"lisi"}`, 400, "does not hold"},
		{"an end by who does not hold it", "POST", "/api/act", js, `{"act":"end",` + who + `,"servicer_userid":"lisi"}`, 400, "does not hold"},
		{"a hand-over of nobody", "POST", "/api/act", js, `{"act":"hand_over"}`, 400, "open_kfid"},
		{"a scene parameter without scene", "POST", "/api/act", js, `{"act":"enter",` + who + `,"scene_param":"x"}`, 400, "scene"},
		{"a clock that does not say how far", "POST", "/api/act", js, `{"act":"clock"}`, 400, "duration"},
		{"a clock that goes back", "POST", "/api/act", js, `{"act":"clock","advance":"-1h"}`, 400, "duration"},
		{"a clock that goes too far", "POST", "/api/act", js, `{"act":"clock","advance":"721h"}`, 400, "duration"},
		{"a phone of nobody", "GET", "/api/phone", "", "", 404, "open_kfid"},
		{"a phone of an unknown account", "GET", "/api/phone?open_kfid=wkX&external_userid=" + ann, "", "", 404, "unknown"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))
			r.Host = "localhost"
			if c.contentType != "" {
				r.Header.Set("Content-Type", c.contentType)
			}
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, r)
			if rec.Code != c.want {
				t.Fatalf("got %d, want %d: %s", rec.Code, c.want, rec.Body)
			}
			wantRefusal(t, rec, c.about)
		})
	}
}

func TestPathsAndMethods(t *testing.T) {
	h := newConsole(t).Handler()
	for _, c := range []struct {
		method, path string
		want         int
		contentType  string
	}{
		{"GET", "/", 200, "text/html; charset=utf-8"},
		{"HEAD", "/", 200, "text/html; charset=utf-8"},
		{"GET", "/assets/style.css", 200, "text/css; charset=utf-8"},
		{"GET", "/assets/app.js", 200, "text/javascript; charset=utf-8"},
		{"GET", "/api/state", 200, "application/json"},
		{"GET", "/assets/", 404, ""},
		{"GET", "/assets/index.html", 404, ""},
		{"GET", "/assets/../http.go", 307, ""}, // to the cleaned path, which is not there
		{"GET", "/http.go", 404, ""},
		{"POST", "/", 405, ""},
		{"GET", "/api/say", 405, ""},
		{"POST", "/api/state", 405, ""},
		{"DELETE", "/api/feed", 405, ""},
	} {
		r := httptest.NewRequest(c.method, c.path, nil)
		r.Host = "localhost"
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r)
		if rec.Code != c.want {
			t.Errorf("%s %s: got %d, want %d", c.method, c.path, rec.Code, c.want)
		}
		if got := rec.Header().Get("Content-Type"); c.contentType != "" && got != c.contentType {
			t.Errorf("%s %s: got content type %q, want %q", c.method, c.path, got, c.contentType)
		}
		if c.method != "GET" || rec.Header().Get("ETag") == "" {
			continue
		}
		r = httptest.NewRequest(http.MethodGet, c.path, nil)
		r.Host = "localhost"
		r.Header.Set("If-None-Match", rec.Header().Get("ETag"))
		again := httptest.NewRecorder()
		h.ServeHTTP(again, r)
		if again.Code != http.StatusNotModified {
			t.Errorf("%s: with its ETag got %d, want 304", c.path, again.Code)
		}
	}
}
