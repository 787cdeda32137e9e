package sender

import (
	"errors"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kfbus/kfbus/pkg/kfapi"
)

type metrics struct {
	commands    *prometheus.CounterVec
	seconds     *prometheus.HistogramVec
	postSeconds *prometheus.HistogramVec
	holds       *prometheus.CounterVec
	rung        prometheus.Counter
	uploads     prometheus.Counter
	resigned    prometheus.Counter
	disagreed   *prometheus.CounterVec
	conflicts   prometheus.Counter
	fenced      prometheus.Counter
	rebuilt     prometheus.Counter
	reused      prometheus.Counter
	warned      prometheus.Counter
	windows     *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	var errs []error
	counters := func(name, help string, labels ...string) *prometheus.CounterVec {
		c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kf_sender_" + name, Help: help}, labels)
		errs = append(errs, reg.Register(c))
		return c
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: "kf_sender_" + name, Help: help})
		errs = append(errs, reg.Register(c))
		return c
	}
	histogram := func(name, help, label string, buckets ...float64) *prometheus.HistogramVec {
		h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "kf_sender_" + name, Help: help, Buckets: buckets}, []string{label})
		errs = append(errs, reg.Register(h))
		return h
	}
	m := &metrics{
		commands: counters("commands_total", "Outcomes and corrections published.", "verb", "outcome", "reason"),
		seconds: histogram("command_seconds", "Time from the storing of a command to its outcome.", "verb",
			.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300, 600),
		postSeconds: histogram("post_seconds", "Time of one request to WeChat.", "api", .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10),
		holds:       counters("holds_total", "Waits of commands: in their lane, there for a pull, or put aside in a timer.", "where"),
		rung:        counter("pulls_asked_total", "Doorbells rung because a send was about to be refused."),
		uploads:     counter("uploads_total", "Files of commands that were uploaded."),
		resigned:    counter("pulls_missed_total", "Sends decided although no pull of their account was completed in time."),
		disagreed:   counters("window_disagreements_total", "First requests of a send that WeChat refused although our ledger allowed them.", "errcode"),
		conflicts:   counter("ledger_conflicts_total", "Writes of a ledger that came second; each is decided again."),
		fenced:      counter("fenced_total", "Requests not made because too much time had passed since they were decided."),
		rebuilt:     counter("ledgers_unreadable_total", "Ledgers that could not be read and were made anew from the streams."),
		reused:      counter("msgid_reuse_accepted_total", "Times WeChat accepted one msgid twice; anything but 0 needs a person."),
		windows:     counters("window_events_total", "Events of windows published.", "event"),
		warned:      counter("json_warnings_total", "Requests accepted with the warning that their JSON was not wholly understood."),
	}
	return m, errors.Join(errs...)
}

func codeLabel(code int) string { return strconv.Itoa(code) }

func wrongJSON(errmsg string) bool { return kfapi.WrongJSONFormatMsg(errmsg) }
