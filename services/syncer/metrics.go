package syncer

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kfbus/kfbus/pkg/events"
)

const (
	kindDead = "dead"
	resultOK = "ok"
)

type metrics struct {
	pulls         *prometheus.CounterVec
	pages         prometheus.Counter
	items         *prometheus.CounterVec
	refused       *prometheus.CounterVec
	setbacks      *prometheus.CounterVec
	resets        *prometheus.CounterVec
	readback      *prometheus.CounterVec
	behind        *prometheus.GaugeVec
	gaps          prometheus.Counter
	repeated      prometheus.Counter
	sweeps        prometheus.Counter
	accounts      prometheus.Gauge
	pullSeconds   prometheus.Histogram
	commitSeconds prometheus.Histogram
	lag           prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kf_syncer_" + name, Help: help}, labels)
	}
	histogram := func(name, help string, buckets []float64) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: "kf_syncer_" + name, Help: help, Buckets: buckets})
	}
	m := &metrics{
		pulls: counter("pulls_total", "Calls of sync_msg, by what rang (callback, sweep, fresh) and the result (ok, or why not).", "ring", "result"),
		pages: prometheus.NewCounter(prometheus.CounterOpts{Name: "kf_syncer_pages_total", Help: "Pages stored, each with its cursor."}),
		items: counter("items_total", "Items stored, by kind: message, event, history, dead.", "kind"),
		refused: counter("commits_refused_total",
			"Pages that were not stored, or of which nobody knows; conflict is a lost race against another syncer and does no harm.", "reason"),
		setbacks: counter("setbacks_total", "Turns that ended before the account was up to date, by reason.", "reason"),
		resets:   counter("resets_total", "Accounts read back because their cursor was lost, unreadable or refused.", "reason"),
		readback: counter("readback_items_total", "Items pulled again after a reset: left_out (stored before), new, or replay (nobody knows: published with kfreplay).", "what"),
		behind: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "kf_syncer_accounts_behind",
			Help: "Accounts of which nothing was pulled and stored for 24, 48, 60 hours or longer. After 72 messages are lost."}, []string{"hours"}),
		gaps: prometheus.NewCounter(prometheus.CounterOpts{Name: "kf_syncer_gaps_total", Help: "Outages of more than 72 hours, after which messages may be missing."}),
		repeated: prometheus.NewCounter(prometheus.CounterOpts{Name: "kf_syncer_repeated_items_total",
			Help: "Items that the platform served twice in a row, or twice on a page; stored once."}),
		sweeps:   prometheus.NewCounter(prometheus.CounterOpts{Name: "kf_syncer_sweeps_total", Help: "Doorbells rung because an account had no recent pull."}),
		accounts: prometheus.NewGauge(prometheus.GaugeOpts{Name: "kf_syncer_accounts", Help: "Accounts that are swept."}),
		pullSeconds: histogram("pull_seconds", "Time of a call of sync_msg.",
			[]float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20}),
		commitSeconds: histogram("commit_seconds", "Time of storing a page.",
			[]float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}),
		lag: histogram("lag_seconds", "Age of the newest item of a page when it is stored, by send_time and our clock.",
			[]float64{.5, 1, 2, 5, 10, 30, 60, 300, 3600, 6 * 3600, 24 * 3600, 48 * 3600, 60 * 3600, 72 * 3600}),
	}
	var errs []error
	for _, c := range []prometheus.Collector{m.pulls, m.pages, m.items, m.refused, m.setbacks, m.resets, m.readback, m.behind, m.gaps, m.repeated, m.sweeps, m.accounts, m.pullSeconds, m.commitSeconds, m.lag} {
		errs = append(errs, reg.Register(c))
	}
	return m, errors.Join(errs...)
}

func (m *metrics) pulled(ring, why string) {
	if why == "" {
		why = resultOK
	}
	m.pulls.WithLabelValues(ring, why).Inc()
}

// committed counts a stored page.
func (m *metrics) committed(kinds []events.Kind) {
	m.pages.Inc()
	for _, k := range kinds {
		m.items.WithLabelValues(string(k)).Inc()
	}
}
