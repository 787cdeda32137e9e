package console

import (
	"bytes"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
)

//go:embed assets
var assets embed.FS

// page is one file of the console, as it is served.
type page struct {
	name, contentType, etag string
	content                 []byte
}

// loadPages reads the embedded files, by the path they are served at.
func loadPages() (map[string]page, error) {
	out := map[string]page{}
	for path, p := range map[string]page{
		"/{$}":              {name: "index.html", contentType: "text/html; charset=utf-8"},
		"/assets/style.css": {name: "style.css", contentType: "text/css; charset=utf-8"},
		"/assets/app.js":    {name: "app.js", contentType: "text/javascript; charset=utf-8"},
	} {
		var err error
		if p.content, err = assets.ReadFile("assets/" + p.name); err != nil {
			return nil, err
		}
		sum := sha256.Sum256(p.content)
		p.etag = `"` + hex.EncodeToString(sum[:8]) + `"`
		out[path] = p
	}
	return out, nil
}

func (p page) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", p.contentType)
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", p.etag)
	http.ServeContent(w, r, p.name, time.Time{}, bytes.NewReader(p.content))
}

// policy lets the page load and call nothing but itself.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// guard keeps other web pages in the same browser out, and the page in.
func guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		switch {
		case !loopback(r.Host):
			refuse(w, &refusal{http.StatusForbidden, "the Host header names no loopback host; open the page as http://127.0.0.1:PORT or http://localhost:PORT"})
		case !sameOrigin(r):
			refuse(w, &refusal{http.StatusForbidden, "the request comes from another origin; only the console's own page may use its API"})
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// loopback reports whether host, with or without a port, can only be this machine. A
// foreign name that resolves to 127.0.0.1 is not among them.
func loopback(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"))
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Zone() == "" && addr.IsLoopback()
}

// sameOrigin reports whether the browser says that a page of this origin asks. Links
// from elsewhere to the page itself are welcome; other programs say nothing.
func sameOrigin(r *http.Request) bool {
	if origin, there := r.Header["Origin"]; there {
		u, err := url.Parse(origin[0])
		if len(origin) != 1 || err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return false
		}
	}
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "" || site == "same-origin" || site == "none" || !strings.HasPrefix(r.URL.Path, "/api/")
}

// refusal is an answer that is the visitor's to mend.
type refusal struct {
	status int
	text   string
}

func (r *refusal) Error() string { return r.text }

func refuse(w http.ResponseWriter, err error) {
	status := http.StatusBadRequest
	var r *refusal
	if errors.As(err, &r) {
		status = r.status
	}
	reply(w, status, map[string]string{"error": err.Error()})
}

func reply(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(oneLine(v), '\n')) // the client may have gone
}

// answering serves f's value as JSON, and its error as a refusal.
func answering(f func(*http.Request) (any, error)) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, err := f(r)
		if err != nil {
			refuse(w, err)
			return
		}
		reply(w, http.StatusOK, v)
	})
}

// maxRequest is ample: the longest text of a message has 2048 bytes.
const maxRequest = 16 << 10

// decode reads the one JSON object of a request. Errors never repeat what it holds.
func decode(r *http.Request, v any) error {
	if ct, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || ct != "application/json" {
		return &refusal{http.StatusUnsupportedMediaType, "the body must be JSON; send Content-Type: application/json"}
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxRequest+1))
	switch {
	case err != nil:
		return &refusal{http.StatusBadRequest, "the body was cut off; send it again"}
	case len(body) > maxRequest:
		return &refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("the body has more than %d bytes; send less", maxRequest)}
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return &refusal{http.StatusBadRequest, "the body is not the JSON object it should be: " + whatIsWrong(err)}
	}
	if _, err := d.Token(); err != io.EOF {
		return &refusal{http.StatusBadRequest, "the body goes on after its JSON object; send one"}
	}
	return nil
}

// whatIsWrong names a field, never a value.
func whatIsWrong(err error) string {
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrong) && wrong.Field != "":
		return fmt.Sprintf("field %s must be a %s", wrong.Field, wrong.Type)
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		return "it has a field that does not exist here; see the handler's documentation"
	}
	return "it cannot be parsed"
}
