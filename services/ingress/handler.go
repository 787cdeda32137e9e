package ingress

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kfbus/kfbus/internal/bus"
	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/pkg/events"
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
	tooMany     = answer{http.StatusTooManyRequests, "too many requests"}
	busy        = answer{http.StatusServiceUnavailable, "busy"}
)

// ServeHTTP is the public port: the callback paths and nothing else.
func (in *Ingress) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	began := in.now()
	peer := in.peers.of(r)
	a, result := in.respond(r, peer)
	in.metrics.callbacks.WithLabelValues(result).Inc()
	in.metrics.seconds.WithLabelValues(result).Observe(in.now().Sub(began).Seconds())
	if a.status/100 == 4 && a != tooMany {
		in.peers.refused(peer)
	}
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	switch a {
	case wrongMethod:
		h.Set("Allow", "GET, POST")
	case tooLarge, encoded, tooMany:
		h.Set("Connection", "close") // or net/http would wait for the rest of a body that nobody wants
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
func (in *Ingress) respond(r *http.Request, peer netip.Addr) (a answer, result string) {
	defer func() {
		if p := recover(); p != nil {
			in.log.Error().Interface("panic", p).Msg("callback handler")
			a, result = forbidden, "panic"
		}
	}()
	door := in.doors[r.URL.Path]
	switch {
	case in.peers.spent(peer):
		return tooMany, "too_many"
	case door == nil || r.URL.RawPath != "":
		return notFound, "not_found"
	case r.Method == http.MethodGet:
		return in.verifyURL(door, r)
	case r.Method == http.MethodPost:
		return in.callback(door, r)
	}
	return wrongMethod, "wrong_method"
}

// params are the query of every call of the platform.
type params struct{ signature, timestamp, nonce, echostr string }

// parseParams wants each parameter once and in its own characters, and nothing else beside them: no escape either, but in
// echostr, since the other characters need none. Whoever decodes or splits a query in another way reads the same in it.
func parseParams(query string, check bool) (params, bool) {
	var p params
	for part := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(part, "=")
		field := p.field(name)
		if field == nil || *field != "" || value == "" {
			return params{}, false
		}
		*field = value
	}
	ok := len(p.signature) == 40 && only(p.signature, hexDigits) && len(p.timestamp) == 10 && only(p.timestamp, digits) &&
		len(p.nonce) >= 1 && len(p.nonce) <= 32 && only(p.nonce, idChars) && len(p.echostr) <= maxEchostr && (p.echostr != "") == check
	if ok && check {
		var err error
		p.echostr, err = url.QueryUnescape(p.echostr)
		ok = err == nil
	}
	return p, ok
}

func (p *params) field(name string) *string {
	switch name {
	case "msg_signature":
		return &p.signature
	case "timestamp":
		return &p.timestamp
	case "nonce":
		return &p.nonce
	case "echostr":
		return &p.echostr
	}
	return nil
}

const (
	digits    = "0123456789"
	hexDigits = digits + "abcdef"
	alnum     = digits + "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	idChars   = alnum + "_-"

	maxEcho    = 64
	maxEchostr = 3072 // an echo of 64 characters is 216 of base64, each of which may be escaped
)

func only(s, chars string) bool {
	for i := range len(s) {
		if strings.IndexByte(chars, s[i]) < 0 {
			return false
		}
	}
	return true
}

// hand is what one callback needs while it is in hand, and the next can use again.
type hand struct {
	body  bytes.Buffer
	nodes []node
}

// read empties body, up to a byte more than is allowed. What it returns is valid until putBack.
func (h *hand) read(body io.Reader) ([]byte, error) {
	h.body.Grow(bytes.MinRead)
	_, err := h.body.ReadFrom(io.LimitReader(body, maxBody+1))
	return h.body.Bytes(), err
}

// putBack keeps h, unless it grew for a callback that was unusually large.
func (in *Ingress) putBack(h *hand) {
	if h.body.Cap() > maxBody/4 || cap(h.nodes) > maxNodes/16 {
		return
	}
	h.body.Reset()
	clear(h.nodes)
	in.hands.Put(h)
}

// verifyURL answers the console's check. What comes out must look like an echo, and
// be asked for now and seldom, or this would hand back the plaintext of captured
// callbacks.
func (in *Ingress) verifyURL(door *door, r *http.Request) (answer, string) {
	if !door.VerifyURL {
		return forbidden, "verify_off"
	}
	p, ok := parseParams(r.URL.RawQuery, true)
	if !ok {
		return forbidden, "bad_parameters"
	}
	echo, err := door.keys().VerifyURL(p.signature, p.timestamp, p.nonce, p.echostr)
	switch {
	case errors.Is(err, kfcrypto.ErrSignature):
		return forbidden, "bad_signature"
	case err != nil:
		return forbidden, "malformed"
	case echo == "" || len(echo) > maxEcho || !only(echo, alnum):
		return forbidden, "bad_echo"
	case in.age(p).Abs() > checkTolerance:
		door.log.Warn().Dur("age", in.age(p)).Msg("a check of the URL with a true signature, but not of now: a replay, or this machine's clock is wrong")
		return forbidden, "stale_check"
	case !door.checks.AllowN(in.now(), 1):
		return forbidden, "too_many_checks"
	}
	return answer{http.StatusOK, echo}, "verified"
}

// age is how long ago the platform signed a request, by our clock; negative when it lies ahead.
func (in *Ingress) age(p params) time.Duration {
	return in.now().Sub(time.Unix(number(p.timestamp), 0))
}

const (
	checkTolerance = 5 * time.Minute  // of a check of the URL
	pastTolerance  = 10 * time.Minute // of a callback: more than its repeats and any queue can take
	aheadTolerance = 5 * time.Minute
)

// stale reports whether a callback, though truly signed, cannot be news: somebody repeats it, or a clock is wrong. It is
// never believed to be the first of its kind, and never lost.
func stale(age time.Duration) bool { return age > pastTolerance || age < -aheadTolerance }

func (in *Ingress) callback(door *door, r *http.Request) (answer, string) {
	began := in.now()
	if slices.ContainsFunc(r.Header.Values("Content-Encoding"), func(e string) bool { return e != "" && !strings.EqualFold(e, "identity") }) {
		return encoded, "encoded"
	}
	if r.ContentLength > maxBody {
		return tooLarge, "too_large"
	}
	p, ok := parseParams(r.URL.RawQuery, false)
	if !ok {
		return forbidden, "bad_parameters"
	}
	h := in.hands.Get().(*hand)
	defer in.putBack(h)
	body, err := h.read(r.Body)
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
	plain, receiveID, codec, err := door.keys().OpenWith(p.signature, p.timestamp, p.nonce, env.Encrypt)
	switch {
	case errors.Is(err, kfcrypto.ErrSignature):
		return forbidden, "bad_signature"
	case err != nil:
		return forbidden, "malformed"
	}
	doc, err := parseInto(h.nodes[:0], plain)
	h.nodes = doc.nodes
	if err != nil {
		return forbidden, "malformed"
	}
	if !door.isFor(doc) {
		return forbidden, "other_receiver"
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), min(in.cfg.PublishTimeout, answerWithin-in.now().Sub(began)))
	defer cancel()
	a, result := in.keep(ctx, door, cipherID(env.Encrypt), doc, stale(in.age(p)))
	if a == success && door.ReplyText != "" && doc.isMessage() {
		return in.reply(door, doc, codec, receiveID, bytes.TrimLeft(body, " \t\r\n")[0] == '{'), result
	}
	return a, result
}

// answerWithin is the longest from the head of a callback to its answer: a body that comes slowly leaves the broker less time.
const answerWithin = platformPatience - 600*time.Millisecond

// store publishes again and again while nobody takes the event, until ctx ends: a broker that restarts or elects is back in
// seconds, and the platform may ask three times within one. What has a MsgID is stored once, however often it is published.
func (in *Ingress) store(ctx context.Context, m bus.Message) (repeat bool, err error) {
	for {
		_, repeat, err = in.publish(ctx, m)
		if !errors.Is(err, bus.ErrNoStream) && !bus.Temporary(err) {
			return repeat, err
		}
		in.stored.Fail("the last callback could not be stored: " + bus.Reason(err))
		select {
		case <-ctx.Done():
			return false, err
		case <-time.After(publishPause):
		}
	}
}

const publishPause = 200 * time.Millisecond

// keep publishes and waits: the platform is told success only of what is stored.
// ctx outlives the caller on purpose, since a stored callback is worth
// having even if nobody hears that it is.
func (in *Ingress) keep(ctx context.Context, door *door, id string, doc document, old bool) (answer, string) {
	began := in.now()
	out, err := route(door.CorpID, id, doc, callback{now: began, stale: old, trace: service.NewTrace().String(), words: door.CommandWords})
	if err != nil {
		in.log.Error().Err(err).Msg("make an event of a callback")
		return busy, "internal"
	}
	began, result := in.now(), out.kind
	known := old && out.kind == kindDoorbell && in.rang.has(id)
	var repeat bool
	if !known {
		repeat, err = in.store(ctx, out.message)
	}
	took := in.now().Sub(began)
	switch {
	case err == nil && (repeat || known):
		result = "repeated"
	case errors.Is(err, bus.ErrCovered) && out.hint: // one waits already, and its pull will see this too
		result = "covered"
	case err != nil:
		in.metrics.refused.WithLabelValues(bus.Reason(err)).Inc()
		if !errors.Is(err, bus.ErrCovered) { // which only says that nobody takes the ones before
			in.stored.Fail("the last callback could not be stored: " + bus.Reason(err))
		}
		door.log.Warn().Err(err).Str("callback", id[:12]).Str("kind", out.kind).Dur("took", took).
			Msg("callback not stored: answered 503, WeChat will repeat it")
		return busy, "not_stored"
	}
	if !known {
		in.stored.OK()
	}
	if out.kind == kindDoorbell && !old {
		in.rang.add(id)
	}
	// The one line that says in a dispute that it came; never what it said.
	door.log.Info().Str("callback", id[:12]).Str("account", events.Token(out.account)).Str("kind", out.kind).Bool("stale", old).Str("outcome", result).
		Dur("took", took).Msg("callback accepted")
	return success, result
}
