package kfsim

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"strings"
)

const maxControlBody = 32 << 20 // media come in base64

// Control is the API by which tests and people act as customers, servicers and administrators, and
// read what happened. It is for a port that only they can reach: it has no authentication. doc.go
// and docs/simulator.md list its paths. A mistake is a 400 with {"error": "…"} that says what to do.
func (s *Sim) Control() http.Handler {
	mux := http.NewServeMux()
	routes := s.makers()
	for _, more := range []map[string]http.HandlerFunc{s.actors(), s.platformControls(), s.readers(), s.settings()} {
		maps.Copy(routes, more)
	}
	for pattern, h := range routes {
		mux.HandleFunc(pattern, h)
	}
	index := "kfsim control API\n\n" + strings.Join(sortedKeys(routes), "\n") + "\n"
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, index) })
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Body = http.MaxBytesReader(w, r.Body, maxControlBody)
		mux.ServeHTTP(w, r)
	})
}

// with reads a body of type T, does something with it, and answers with its result.
func with[T any](do func(T) (any, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in T
		if err := readBody(r, &in); err != nil {
			fail(w, err)
			return
		}
		out, err := do(in)
		if err != nil {
			fail(w, err)
			return
		}
		reply(w, out)
	}
}

// doing is with for actions without a result.
func doing[T any](do func(T) error) http.HandlerFunc {
	return with(func(in T) (any, error) { return struct{}{}, do(in) })
}

// naming is with for actions whose result is one id.
func naming[T any](name string, do func(T) (string, error)) http.HandlerFunc {
	return with(func(in T) (any, error) {
		id, err := do(in)
		return map[string]string{name: id}, err
	})
}

// readBody decodes a JSON object; an empty body is an empty object, an unknown field a mistake.
func readBody(r *http.Request, v any) error {
	b, err := io.ReadAll(r.Body)
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return errors.New("the body is larger than 32 MiB")
	case err != nil:
		return errors.New("the body was cut off")
	case len(strings.TrimSpace(string(b))) == 0:
		return nil
	}
	if err := decodeStrict(b, v); err != nil {
		return fmt.Errorf("the body is not the JSON object it should be: %w", plainJSON(err))
	}
	return nil
}

func reply(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(append(marshal(v), '\n'))
}

func fail(w http.ResponseWriter, err error) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusBadRequest)
	_, _ = w.Write(append(marshal(map[string]string{"error": err.Error()}), '\n'))
}

// who names a corp or an account.
type who struct {
	CorpID   string `json:"corpid"`
	OpenKfID string `json:"open_kfid"`
}

// makers make corps and what belongs to them.
func (s *Sim) makers() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"POST /corps":                with(func(c Corp) (any, error) { return s.AddCorp(c) }),
		"POST /callback":             doing(s.SetCallback),
		"POST /accounts":             with(func(a Account) (any, error) { return s.AddAccount(a) }),
		"DELETE /accounts/{id}":      func(w http.ResponseWriter, r *http.Request) { answerErr(w, s.RemoveAccount(r.PathValue("id"))) },
		"POST /accounts/authorize":   doing(func(q who) error { return s.Authorize(q.OpenKfID, true) }),
		"POST /accounts/deauthorize": doing(func(q who) error { return s.Authorize(q.OpenKfID, false) }),
		"POST /customers":            with(func(c Customer) (any, error) { return s.AddCustomer(c) }),
		"POST /servicers":            doing(s.AddServicer),
		"POST /media":                naming("media_id", s.AddMedia),
	}
}

// actors are what customers, servicers and administrators do.
func (s *Sim) actors() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"POST /say":                naming("msgid", s.Say),
		"POST /tap":                naming("msgid", s.Tap),
		"POST /enter":              naming("msgid", s.Enter),
		"POST /recall":             doing(s.Recall),
		"POST /block":              doing(s.Block),
		"POST /inject":             naming("msgid", func(m inject) (string, error) { return s.Inject(m.OpenKfID, m.Item) }),
		"POST /hostile":            naming("msgid", s.Hostile),
		"POST /servicers/say":      naming("msgid", s.ServicerSay),
		"POST /servicers/pickup":   doing(s.PickUp),
		"POST /servicers/transfer": doing(s.Transfer),
		"POST /servicers/end":      doing(s.End),
		"POST /servicers/status":   doing(s.ServicerStatus),
		"POST /servicers/recall":   doing(s.ServicerRecall),
		"POST /servicers/reject":   doing(s.RejectCustomer),
		"POST /app-callback":       doing(s.AppCallback),
		"POST /fail":               doing(s.FailSend),
		"POST /verify-url": func(w http.ResponseWriter, r *http.Request) {
			var q who
			err := readBody(r, &q)
			if err == nil {
				err = s.VerifyURL(r.Context(), q.CorpID)
			}
			answerErr(w, err)
		},
	}
}

// platformControls turn the platform's own knobs.
func (s *Sim) platformControls() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"POST /clock":              with(func(m clockMove) (any, error) { err := s.moveClock(m); return s.clockState(), err }),
		"GET /clock":               func(w http.ResponseWriter, _ *http.Request) { reply(w, s.clockState()) },
		"POST /load":               with(func(l Load) (any, error) { err := s.StartLoad(l); return s.LoadStatus(), err }),
		"GET /load":                func(w http.ResponseWriter, _ *http.Request) { reply(w, s.LoadStatus()) },
		"DELETE /load":             func(w http.ResponseWriter, _ *http.Request) { s.StopLoad(); reply(w, s.LoadStatus()) },
		"POST /script":             s.postScript,
		"GET /script":              func(w http.ResponseWriter, _ *http.Request) { reply(w, s.ScriptSteps()) },
		"DELETE /script":           func(w http.ResponseWriter, _ *http.Request) { s.LoadScript(Script{}); reply(w, struct{}{}) },
		"POST /faults":             naming("id", s.AddFault),
		"GET /faults":              func(w http.ResponseWriter, _ *http.Request) { reply(w, s.Faults()) },
		"DELETE /faults":           func(w http.ResponseWriter, _ *http.Request) { s.RemoveFaults(); reply(w, struct{}{}) },
		"DELETE /faults/{id}":      s.deleteFault,
		"GET /callbacks":           func(w http.ResponseWriter, _ *http.Request) { reply(w, s.Callbacks()) },
		"PATCH /callbacks":         patch(s.Callbacks, s.SetCallbacks),
		"GET /personality":         func(w http.ResponseWriter, _ *http.Request) { reply(w, s.Personality()) },
		"PATCH /personality":       patch(s.Personality, s.SetPersonality),
		"POST /tokens/revoke":      with(func(q who) (any, error) { return counted(s.RevokeTokens(q.CorpID)) }),
		"POST /sync-tokens/expire": with(func(q who) (any, error) { return counted(s.ExpireSyncTokens(q.OpenKfID)) }),
		"POST /reset":              func(w http.ResponseWriter, _ *http.Request) { s.Reset(); reply(w, struct{}{}) },
	}
}

func counted(n int, err error) (any, error) { return map[string]int{"count": n}, err }

func answerErr(w http.ResponseWriter, err error) {
	if err != nil {
		fail(w, err)
		return
	}
	reply(w, struct{}{})
}

// patch changes the fields that the body names.
func patch[T any](get func() T, set func(T) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v := get()
		err := readBody(r, &v)
		if err == nil {
			err = set(v)
		}
		if err != nil {
			fail(w, err)
			return
		}
		reply(w, get())
	}
}

func (s *Sim) postScript(w http.ResponseWriter, r *http.Request) {
	var raw json.RawMessage
	err := readBody(r, &raw)
	if err == nil {
		var script Script
		if script, err = ParseScript(raw); err == nil {
			s.LoadScript(script)
		}
	}
	if err != nil {
		fail(w, err)
		return
	}
	reply(w, s.ScriptSteps())
}

func (s *Sim) deleteFault(w http.ResponseWriter, r *http.Request) {
	if !s.RemoveFault(r.PathValue("id")) {
		fail(w, errors.New("there is no such fault, or it is used up; GET /faults lists them"))
		return
	}
	reply(w, struct{}{})
}
