package api

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go/micro"

	"github.com/kfbus/kfbus/pkg/events"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

// maxRequest is how large a request without a file may be; the platform's largest is far smaller.
const maxRequest = 256 << 10

// endpoint is one call as it is served.
type endpoint struct {
	kfapi.Endpoint
	media   bool // carries a file
	timeout time.Duration
	serve   server

	requests, errors atomic.Uint64
}

// server makes a call of a request's body, and returns the reply's.
type server func(ctx context.Context, e *endpoint, body []byte) ([]byte, error)

// api is its name in metrics, logs and kf_throttle: "account/list".
func (e *endpoint) api() string { return short(e.Path) }

func (e *endpoint) name() string { return strings.ReplaceAll(short(e.Path), "/", "-") }

func (e *endpoint) subject(corp string) string { return subjectOf(corp, e.Path) }

func short(path string) string { return strings.TrimPrefix(path, "kf/") }

func subjectOf(corp, path string) string { return events.APISubject(corp, short(path)) }

// refused are the paths that are answered with a pointer elsewhere.
func refused() map[string]string {
	r := map[string]string{
		"kf/send_msg":          commandInstead("send_msg", events.VerbSend),
		"kf/send_msg_on_event": commandInstead("send_msg_on_event", events.VerbReply),
		"kf/recall_msg":        commandInstead("recall_msg", events.VerbRecall),
	}
	for _, e := range kfapi.Endpoints() {
		if e.Style == kfapi.StyleCredential {
			r[e.Path] = short(e.Path) + " takes a secret, and no secret passes the bus: the tokenkeeper fetches access tokens; read them in kf_tokens"
		}
	}
	return r
}

func commandInstead(path, verb string) string {
	return fmt.Sprintf("%s is a command: publish it on kf.command.<team>.<corp>.<open_kfid>.%s.<external_userid> and read its outcome", path, verb)
}

// Elsewhere says how a call is made that is not served, "send_msg"; ok is false for all others.
func Elsewhere(api string) (why string, ok bool) {
	for path, why := range refused() {
		if short(path) == api {
			return why, true
		}
	}
	return "", false
}

// Calls are the calls that are served, by path: "kf/account/list".
func Calls() []kfapi.Endpoint {
	var out []kfapi.Endpoint
	for _, e := range (&Service{}).calls() {
		out = append(out, e.Endpoint)
	}
	return out
}

// APIs are the names of the served calls for rate limits: "account/list".
func APIs() []string {
	var out []string
	for _, e := range Calls() {
		out = append(out, short(e.Path))
	}
	return out
}

// calls is every call that is served, by path.
func (s *Service) calls() []*endpoint {
	list := s.files()
	elsewhere := refused()
	for _, e := range list {
		elsewhere[e.Path] = ""
	}
	for _, e := range kfapi.Endpoints() {
		if _, no := elsewhere[e.Path]; no || e.Style != kfapi.StyleJSON {
			continue
		}
		list = append(list, &endpoint{Endpoint: e, timeout: s.cfg.Timeout, serve: s.call})
	}
	slices.SortFunc(list, func(a, b *endpoint) int { return cmp.Compare(a.Path, b.Path) })
	return list
}

// metadata is what $SRV.INFO says of a call.
func (e *endpoint) metadata() map[string]string {
	m := map[string]string{
		"method": e.Method, "path": "/cgi-bin/" + e.Path, "summary": e.Summary,
		"repeatable": strconv.FormatBool(e.Repeatable), "timeout": e.timeout.String(), "schema": e.schema(),
		"max_request_bytes": strconv.Itoa(maxRequest), "limits": "10000 a minute and 150000 an hour for each API of a corp",
	}
	if e.media {
		m["max_request_bytes"] = "the broker's max_payload"
	}
	if e.Page > 0 {
		m["page"] = "https://developer.work.weixin.qq.com/document/path/" + strconv.Itoa(e.Page)
	}
	return m
}

// stats is what $SRV.STATS adds: requests are answered beside each other, which the counts of micro do not see.
func (s *Service) stats(m *micro.Endpoint) any {
	for _, e := range s.endpoints {
		if e.name() == m.Name {
			return map[string]uint64{"requests": e.requests.Load(), "errors": e.errors.Load()}
		}
	}
	return nil
}

// call makes a call whose request and reply are JSON.
func (s *Service) call(ctx context.Context, e *endpoint, body []byte) ([]byte, error) {
	if len(body) > maxRequest {
		return nil, &tooLarge{what: "request", size: len(body), most: maxRequest}
	}
	if err := e.Check(body); err != nil {
		return nil, err
	}
	var reply json.RawMessage
	err := s.ask(ctx, e, func(ctx context.Context, accessToken string) (err error) {
		reply, err = s.API.Call(ctx, accessToken, e.Path, body)
		return err
	})
	if err == nil && e.Path == pathTrans {
		s.moved(ctx, body)
	}
	return reply, err
}

const pathTrans = "kf/service_state/trans"

func (s *Service) moved(ctx context.Context, body []byte) {
	var r kfapi.ServiceStateTransRequest
	if json.Unmarshal(body, &r) == nil { // it was checked
		s.Moved(context.WithoutCancel(ctx), r)
	}
}
