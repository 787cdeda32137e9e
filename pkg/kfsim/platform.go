package kfsim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// endpoint is one path of the platform. What it may be called with is data, like its handler.
type endpoint struct {
	get, post bool // parameters in the query; parameters in the body
	open      bool // needs no access token
	maxBody   int64
	handle    func(*request) answer
}

const (
	maxJSONBody  = 2 << 20
	maxMediaBody = 32 << 20
)

// platformEndpoints is the platform's table of paths, under /cgi-bin/.
func platformEndpoints() map[string]endpoint {
	get := func(h func(*request) answer) endpoint {
		return endpoint{get: true, post: true, maxBody: maxJSONBody, handle: h}
	}
	post := func(h func(*request) answer) endpoint { return endpoint{post: true, maxBody: maxJSONBody, handle: h} }
	token := get((*request).getToken)
	token.open = true
	upload := post((*request).mediaUpload)
	upload.maxBody = maxMediaBody
	image := post((*request).uploadImage)
	image.maxBody = maxMediaBody
	oaToken, stable := get((*request).oaToken), post((*request).oaStableToken)
	oaToken.open, stable.open = true, true
	return map[string]endpoint{
		"gettoken":               token,
		"getcallbackip":          get((*request).ipList),
		"get_api_domain_ip":      get((*request).ipList),
		"kf/sync_msg":            post((*request).syncMsg),
		"kf/send_msg":            post((*request).sendMsg),
		"kf/send_msg_on_event":   post((*request).sendMsgOnEvent),
		"kf/recall_msg":          post((*request).recallMsg),
		"kf/service_state/get":   post((*request).serviceStateGet),
		"kf/service_state/trans": post((*request).serviceStateTrans),
		"kf/account/list":        get((*request).accountList),
		"kf/customer/batchget":   post((*request).customerBatchGet),
		"media/upload":           upload,
		"media/get":              get((*request).mediaGet),

		"kf/account/add":                         post((*request).accountAdd),
		"kf/account/del":                         post((*request).accountDel),
		"kf/account/update":                      post((*request).accountUpdate),
		"kf/add_contact_way":                     post((*request).addContactWay),
		"kf/servicer/add":                        post((*request).servicerAdd),
		"kf/servicer/del":                        post((*request).servicerDel),
		"kf/servicer/list":                       get((*request).servicerList),
		"idconvert/open_kfid":                    post((*request).convertKfID),
		"kf/customer/get_upgrade_service_config": get((*request).upgradeConfig),
		"kf/customer/upgrade_service":            post((*request).upgradeService),
		"kf/customer/cancel_upgrade_service":     post((*request).cancelUpgradeService),
		"kf/get_corp_qualification":              get((*request).corpQualification),
		"kf/get_corp_statistic":                  post((*request).corpStatistic),
		"kf/get_servicer_statistic":              post((*request).servicerStatistic),
		"kf/knowledge/add_group":                 post((*request).addGroup),
		"kf/knowledge/del_group":                 post((*request).delGroup),
		"kf/knowledge/mod_group":                 post((*request).modGroup),
		"kf/knowledge/list_group":                post((*request).listGroup),
		"kf/knowledge/add_intent":                post((*request).addIntent),
		"kf/knowledge/del_intent":                post((*request).delIntent),
		"kf/knowledge/mod_intent":                post((*request).modIntent),
		"kf/knowledge/list_intent":               post((*request).listIntent),
		"media/uploadimg":                        image,
		"media/upload_by_url":                    post((*request).uploadByURL),
		"media/get_upload_by_url_result":         post((*request).uploadByURLResult),
		"media/get/jssdk":                        get((*request).mediaGetVoice),

		"token":        oaToken, // of an official account; the real ones are on another host
		"stable_token": stable,
	}
}

// request is one API call while it is being handled, under Sim.mu.
type request struct {
	sim   *Sim
	st    *state
	now   time.Time
	corp  *corp
	app   int // index of the secret the token was made from
	http  *http.Request
	query url.Values
	body  []byte
	ip    string
	twist string // the fault that bends the page, or empty
	bad   bool   // there was more than one JSON value in the body
	entry Entry  // what the journal will say
}

// Platform is the simulated qyapi.weixin.qq.com: the paths under /cgi-bin. Every answer carries
// a Date header by the virtual clock, and a refusal a header Kfsim-Reason that says in words what
// was wrong; the real platform has no such header.
func (s *Sim) Platform() http.Handler { return http.HandlerFunc(s.servePlatform) }

func (s *Sim) servePlatform(w http.ResponseWriter, hr *http.Request) {
	w.Header().Set("Date", s.clock.Now().Format(http.TimeFormat))
	path := strings.TrimPrefix(hr.URL.Path, "/cgi-bin/")
	ep, there := s.endpoints[path]
	if !there {
		s.journal.add(Entry{Kind: KindCall, Path: strconv.Quote(clip(path, 64)), Reason: "no such path", Status: http.StatusNotFound})
		http.Error(w, "no such path: "+path, http.StatusNotFound)
		return
	}
	query := hr.URL.Query()
	n, inFlight := s.stats.begin(path, query.Get("corpid"))
	defer s.stats.end(path, query.Get("corpid"))
	if s.refused(hr, path) {
		x := exchange{s: s, w: w, r: &request{entry: Entry{Kind: KindCall, Call: n, Path: path, Fault: FaultRefuse}}}
		x.undone("fault")
		x.cut()
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, hr.Body, ep.maxBody))
	var tooLarge *http.MaxBytesError
	if err != nil && !errors.As(err, &tooLarge) {
		s.journal.add(Entry{Kind: KindCall, Call: n, Path: path, Reason: "the request was cut off"})
		panic(http.ErrAbortHandler)
	}
	r := &request{sim: s, http: hr, query: query, body: body, ip: clientIP(hr), entry: Entry{Kind: KindCall, Call: n, Path: path, InFlight: inFlight}}
	s.hooks.run(atRequest, r.call())

	x := exchange{s: s, w: w, r: r, ep: ep, tooLarge: tooLarge != nil}
	x.serve(s.strike(r))
}

// call is what hooks see of r.
func (r *request) call() Call {
	return Call{N: r.entry.Call, Path: r.entry.Path, CorpID: r.entry.CorpID, OpenKfID: r.entry.OpenKfID,
		ExternalUserID: r.entry.ExternalUserID, MsgID: r.entry.MsgID, ErrCode: r.entry.ErrCode, Items: len(r.entry.Items)}
}

// exchange is one API call with its connection.
type exchange struct {
	s        *Sim
	w        http.ResponseWriter
	r        *request
	ep       endpoint
	tooLarge bool
}

// perform does what was asked, in one critical section, and journals it.
func (x *exchange) perform(late bool) answer {
	s, r := x.s, x.r
	s.mu.Lock()
	r.st, r.now = s.st, s.clock.Now()
	a := x.decide()
	a.warn = a.warn || r.bad
	r.entry.Time, r.entry.ErrCode, r.entry.Reason, r.entry.Late = r.now, a.code, a.why, late
	r.entry.Effect = a.code == 0
	s.stats.count(r.entry)
	r.entry = s.journal.add(r.entry)
	s.mu.Unlock()
	if a.code == 0 {
		s.hooks.run(atEffect, r.call())
	}
	if !late {
		s.called(r.entry.Path)
	}
	return a
}

// decide runs the checks that all paths share, in the platform's order, then the path's own.
func (x *exchange) decide() answer {
	r, p := x.r, x.s.p
	if x.tooLarge {
		return refuse(40206, "the body is larger than "+strconv.FormatInt(x.ep.maxBody, 10)+" bytes")
	}
	if m := r.http.Method; (m != http.MethodGet || !x.ep.get) && (m != http.MethodPost || !x.ep.post) {
		return refuse(40058, "the method "+clip(m, 16)+" is not for this path")
	}
	key := r.query.Get("corpid")
	if !x.ep.open {
		if a := r.authorize(); a.code != 0 {
			return a
		}
		key = r.corp.CorpID
		if a := r.permitted(); a.code != 0 {
			return a
		}
	}
	if !r.st.limits.call(r.entry.Path+" ip "+r.ip, r.now, p.IPCallsPerMinute, p.IPCallsPerHour) ||
		!r.st.limits.call(r.entry.Path+" corp "+key, r.now, p.CallsPerMinute, p.CallsPerHour) {
		return refuse(45009, "too many calls of this path")
	}
	if r.query.Get("debug") == "1" && !r.st.limits.allow("debug "+key, r.now, p.DebugPerMinute, time.Minute) {
		return refuse(45009, "too many calls with debug=1")
	}
	if p.RefuseEscapes && hasEscape(r.body) {
		return refuse(40033, `the body contains a \uXXXX escape`)
	}
	if p.InsistOnJSON && x.ep.maxBody == maxJSONBody && len(r.body) > 0 && !strings.HasPrefix(r.http.Header.Get("Content-Type"), "application/json") {
		return refuse(40058, "the body's Content-Type is not application/json")
	}
	return x.ep.handle(r)
}

// hasEscape finds \uXXXX in JSON text.
func hasEscape(b []byte) bool {
	for i := 0; i+1 < len(b); i++ {
		if b[i] == '\\' {
			if b[i+1] == 'u' {
				return true
			}
			i++
		}
	}
	return false
}

// write sends the answer and tells the hooks when it is out.
func (x *exchange) write(a answer) {
	body, status := x.encode(a)
	x.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	x.w.WriteHeader(status)
	_, err := x.w.Write(body)
	if err == nil {
		if ferr := http.NewResponseController(x.w).Flush(); ferr != nil && !errors.Is(ferr, http.ErrNotSupported) {
			err = ferr
		}
	}
	if err != nil {
		x.s.journal.add(Entry{Kind: KindLost, Call: x.r.entry.Call, Path: x.r.entry.Path, Reason: "the client had gone"})
		return
	}
	x.s.hooks.run(atAnswer, x.r.call())
}

// encode sets the headers of an answer but for its length, and returns the rest.
func (x *exchange) encode(a answer) (body []byte, status int) {
	h := x.w.Header()
	h.Set("Date", x.s.clock.Now().Format(http.TimeFormat)) // it may have waited
	for k, v := range a.header {
		h[k] = v
	}
	if a.raw != nil {
		return a.raw, a.status
	}
	return x.json(a), http.StatusOK
}

func (x *exchange) json(a answer) []byte {
	x.w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	hint := fmt.Sprintf("%019d", x.r.entry.Call)
	if a.code != 0 {
		x.w.Header().Set("Kfsim-Reason", a.why)
		p := x.s.Personality()
		if p.BareErrMsg {
			hint = ""
		}
		if p.RetryAfterLimit && a.code == 45009 {
			x.w.Header().Set("Retry-After", "60")
		}
		if p.EmptyTokenOnError && x.r.entry.Path == "gettoken" {
			a.fields = []byte(`{"access_token":"","expires_in":0}`)
		}
	}
	return a.body(hint, x.r.ip)
}

// cut ends the connection without an answer: a reset where the server allows it.
func (x *exchange) cut() {
	conn, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	resetConn(conn)
}

// hang keeps the connection open without a word until the client goes, d has passed (if positive)
// or the simulator closes; then it cuts.
func (x *exchange) hang(d time.Duration) {
	ctx, cancel := x.s.whileOpen(x.r.http.Context())
	defer cancel()
	if d > 0 {
		_ = x.s.cfg.Wait(ctx, d)
	} else {
		<-ctx.Done()
	}
	x.cut()
}

// decode reads the JSON object of the body into v. Everything after the first value is ignored, with
// the platform's warning in errmsg.
func (r *request) decode(v any) (answer, bool) {
	if len(bytes.TrimSpace(r.body)) == 0 {
		return refuse(40063, "the body is empty"), false
	}
	dec := json.NewDecoder(bytes.NewReader(r.body))
	var first json.RawMessage
	if err := dec.Decode(&first); err != nil {
		return wrongJSON("the body is not JSON"), false
	}
	if _, err := dec.Token(); err != io.EOF {
		r.bad = true
	}
	a := into(first, v)
	return a, a.code == 0
}

// into decodes a JSON object; what does not fit is the platform's wrong json.
func into(object json.RawMessage, v any) answer {
	if len(object) == 0 || object[0] != '{' || json.Unmarshal(exactKeys(object), v) != nil {
		return wrongJSON("the body, or the message's part of it, is not the JSON object it should be")
	}
	return answer{}
}

func wrongJSON(why string) answer {
	a := refuse(40058, why)
	a.warn = true
	return a
}

// exactKeys drops the members that Go would match without regard to case, and the platform does not.
// Every name the platform knows is in lower case.
func exactKeys(object []byte) []byte {
	var all map[string]json.RawMessage
	if json.Unmarshal(object, &all) != nil {
		return object // whoever decodes it finds out
	}
	before := len(all)
	maps.DeleteFunc(all, func(name string, _ json.RawMessage) bool { return strings.ToLower(name) != name })
	if len(all) == before {
		return object
	}
	return marshal(all)
}

func clientIP(r *http.Request) string {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return "0.0.0.0"
	}
	return host
}

// known is how the journal names an id that a caller sent: ids as they are, anything else, which may
// be a text in the wrong place, as a fingerprint.
func known(id string) string {
	if id == "" || isWord(id, 64) {
		return id
	}
	return "?" + fingerprint(id)
}

// clip shortens foreign text before it is quoted anywhere.
func clip(s string, n int) string {
	if len(s) > n {
		return strings.ToValidUTF8(s[:n], "") + "…"
	}
	return s
}
