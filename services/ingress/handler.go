package ingress

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/rs/zerolog"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/pkg/kfcrypto"
)

// maxBody is the largest callback that is read, in bytes: the platform's own are
// far smaller.
const maxBody = 64 << 10

// answer is everything the public port can say. Whatever is wrong with a
// callback after the first checks is the same forbidden, byte for byte.
type answer struct {
	status int
	body   string
}

var (
	success     = answer{http.StatusOK, "success"}
	forbidden   = answer{http.StatusForbidden, "forbidden"}
	notFound    = answer{http.StatusNotFound, "not found"}
	wrongMethod = answer{http.StatusMethodNotAllowed, "method not allowed"}
	tooLarge    = answer{http.StatusRequestEntityTooLarge, "too large"}
	encoded     = answer{http.StatusUnsupportedMediaType, "unsupported"}
	busy        = answer{http.StatusServiceUnavailable, "busy"}
)

func paths() []string { return []string{"/callback", "/wework/callback", "/wechat/callback"} }

// ServeHTTP is the public port: the callback paths and nothing else.
func (in *Ingress) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := in.now()
	a, result := in.respond(r)
	in.metrics.callbacks.WithLabelValues(result).Inc()
	in.metrics.seconds.WithLabelValues(result).Observe(in.now().Sub(began).Seconds())
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	if a == wrongMethod {
		h.Set("Allow", "GET, POST")
	}
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead {
		if _, err := io.WriteString(w, a.body); err != nil {
			in.log.Debug().Err(err).Msg("the caller left before the answer")
		}
	}
}

// respond decides the answer, and its name for the metrics. A panic in here is a
// bug, and still one uniform answer.
func (in *Ingress) respond(r *http.Request) (a answer, result string) {
	defer func() {
		if p := recover(); p != nil {
			in.log.Error().Interface("panic", p).Msg("callback handler")
			a, result = forbidden, "panic"
		}
	}()
	known := false
	for _, p := range paths() {
		known = known || r.URL.Path == p && r.URL.RawPath == ""
	}
	switch {
	case !known:
		return notFound, "not_found"
	case r.Method == http.MethodGet:
		return in.verifyURL(r)
	case r.Method == http.MethodPost:
		return in.callback(r)
	}
	return wrongMethod, "wrong_method"
}

// params are the query of every call of the platform.
type params struct{ signature, timestamp, nonce, echostr string }

// parseParams wants each parameter once and in its own characters, and nothing
// else beside them.
func parseParams(q url.Values, want ...string) (params, bool) {
	if len(q) != len(want) {
		return params{}, false
	}
	for _, name := range want {
		if len(q[name]) != 1 {
			return params{}, false
		}
	}
	p := params{q.Get("msg_signature"), q.Get("timestamp"), q.Get("nonce"), q.Get("echostr")}
	ok := len(p.signature) == 40 && only(p.signature, hexDigits) && len(p.timestamp) == 10 && only(p.timestamp, digits) &&
		len(p.nonce) >= 1 && len(p.nonce) <= 32 && only(p.nonce, idChars)
	return p, ok
}

const (
	digits    = "0123456789"
	hexDigits = digits + "abcdef"
	alnum     = digits + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	idChars   = alnum + "_-"
	maxEcho   = 64
)

func only(s, chars string) bool {
	return strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune(chars, r) }) < 0
}

// verifyURL answers the console's check. What comes out must look like an echo,
// or this would hand back the plaintext of a captured callback.
func (in *Ingress) verifyURL(r *http.Request) (answer, string) {
	if !in.cfg.VerifyURL {
		return forbidden, "verify_off"
	}
	p, ok := parseParams(r.URL.Query(), "msg_signature", "timestamp", "nonce", "echostr")
	if !ok || len(p.echostr) > 1024 {
		return forbidden, "bad_parameters"
	}
	ring := in.ring()
	echo, err := ring.VerifyURL(p.signature, p.timestamp, p.nonce, p.echostr)
	switch {
	case errors.Is(err, kfcrypto.ErrSignature):
		return forbidden, "bad_signature"
	case err != nil:
		return forbidden, "malformed"
	case echo == "" || len(echo) > maxEcho || !only(echo, alnum):
		return forbidden, "bad_echo"
	}
	return answer{http.StatusOK, echo}, "verified"
}

func (in *Ingress) callback(r *http.Request) (answer, string) {
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return encoded, "encoded"
	}
	if r.ContentLength > maxBody {
		return tooLarge, "too_large"
	}
	p, ok := parseParams(r.URL.Query(), "msg_signature", "timestamp", "nonce")
	if !ok {
		return forbidden, "bad_parameters"
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody+1))
	switch {
	case err != nil:
		return forbidden, "unreadable"
	case len(body) > maxBody:
		return tooLarge, "too_large"
	}
	env, err := kfcrypto.ScanEnvelope(body)
	if err != nil {
		return forbidden, "malformed"
	}
	plain, _, err := in.ring().Open(p.signature, p.timestamp, p.nonce, env.Encrypt)
	switch {
	case errors.Is(err, kfcrypto.ErrSignature):
		return forbidden, "bad_signature"
	case err != nil:
		return forbidden, "malformed"
	}
	doc, err := parseDocument(plain)
	if err != nil {
		return forbidden, "malformed"
	}
	return in.keep(r.Context(), cipherID(env.Encrypt), doc)
}

// keep publishes and waits: the platform is told success only of what is stored.
// It outlives the caller's patience on purpose, since a stored callback is worth
// having even if nobody hears that it is.
func (in *Ingress) keep(ctx context.Context, id string, doc document) (answer, string) {
	out, err := route(in.corp, id, doc, in.now(), service.NewTrace().String(), in.cfg.CommandWords)
	if err != nil {
		in.log.Error().Err(err).Msg("make an event of a callback")
		return busy, "internal"
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), in.cfg.PublishTimeout)
	defer cancel()
	began := time.Now()
	_, repeat, err := in.publish(ctx, out.message)
	log := func(e *zerolog.Event) *zerolog.Event {
		return e.Str("callback", id[:12]).Str("kind", out.kind).Dur("took", time.Since(began))
	}
	switch {
	case err == nil && repeat:
		log(in.log.Debug()).Msg("callback repeated")
		in.stored.OK()
		return success, "repeated"
	case err == nil:
		log(in.log.Debug()).Msg("callback stored")
		in.stored.OK()
		return success, out.kind
	case errors.Is(err, bus.ErrCovered) && out.kind == "doorbell": // one waits already, and its pull will see this too
		in.stored.OK()
		return success, "covered"
	}
	in.metrics.refused.WithLabelValues(bus.Reason(err)).Inc()
	in.stored.Fail("the last callback could not be stored: " + bus.Reason(err))
	log(in.log.Warn()).Err(err).Msg("callback not stored: answered 503, WeChat will repeat it")
	return busy, "not_stored"
}
