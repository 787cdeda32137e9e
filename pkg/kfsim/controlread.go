package kfsim

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strconv"
)

// readers show what there is and what happened.
func (s *Sim) readers() map[string]http.HandlerFunc {
	return map[string]http.HandlerFunc{
		"GET /state":         func(w http.ResponseWriter, _ *http.Request) { reply(w, s.State()) },
		"GET /journal":       s.serveJournal,
		"GET /phone":         s.servePhone,
		"GET /phone/changes": s.servePhoneChanges,
		"GET /sends":         func(w http.ResponseWriter, _ *http.Request) { reply(w, s.Accepted()) },
		"GET /windows":       func(w http.ResponseWriter, _ *http.Request) { reply(w, s.AcceptedPerWindow()) },
		"GET /items":         func(w http.ResponseWriter, r *http.Request) { reply(w, s.Items(r.URL.Query().Get("open_kfid"))) },
		"GET /served":        func(w http.ResponseWriter, r *http.Request) { reply(w, s.Served(r.URL.Query().Get("open_kfid"))) },
		"GET /conversation":  s.serveConversation,
		"GET /calls": func(w http.ResponseWriter, r *http.Request) {
			p := r.URL.Query().Get("path")
			reply(w, map[string]int{"calls": s.Calls(p), "max_in_flight": s.MaxInFlight(p)})
		},
	}
}

func (s *Sim) serveConversation(w http.ResponseWriter, r *http.Request) {
	c, err := s.Conversation(r.URL.Query().Get("open_kfid"), r.URL.Query().Get("external_userid"))
	if err != nil {
		fail(w, err)
		return
	}
	reply(w, c)
}

func (s *Sim) servePhone(w http.ResponseWriter, r *http.Request) {
	kf, user := r.URL.Query().Get("open_kfid"), r.URL.Query().Get("external_userid")
	if _, err := s.Conversation(kf, user); err != nil {
		fail(w, err)
		return
	}
	reply(w, s.Phone(kf, user))
}

// serveJournal writes entries as JSON lines: those there are, and with follow=1 those to come.
func (s *Sim) serveJournal(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	from, err := strconv.ParseUint(cmp.Or(query.Get("from"), "1"), 10, 64)
	if err != nil {
		fail(w, errors.New("journal: from is a sequence number, 1 or larger"))
		return
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	flush := http.NewResponseController(w).Flush
	if query.Get("follow") != "1" {
		all, _ := s.journal.since(from)
		for _, e := range slices.Concat(all...) {
			if _, err := w.Write(append(marshal(e), '\n')); err != nil {
				return
			}
		}
		return
	}
	_ = flush()
	ctx, cancel := s.whileOpen(r.Context())
	defer cancel()
	for e := range s.Follow(ctx, from) {
		if _, err := w.Write(append(marshal(e), '\n')); err != nil {
			return
		}
		_ = flush()
	}
}

// servePhoneChanges writes a JSON line for each conversation that changes.
func (s *Sim) servePhoneChanges(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := s.whileOpen(r.Context())
	defer cancel()
	changes := s.PhoneChanges(ctx)
	w.Header().Set("Content-Type", "application/x-ndjson")
	flush := http.NewResponseController(w).Flush
	_ = flush()
	for c := range changes {
		if _, err := w.Write(append(marshal(c), '\n')); err != nil {
			return
		}
		_ = flush()
	}
}
