package tokenkeeper

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are those of all credentials. The labels corp and credential are as the operator configured them.
type metrics struct {
	refreshes, suspects              *prometheus.CounterVec
	age, generation, leader, stopped *prometheus.GaugeVec
	malformed                        prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	labels := []string{"corp", "credential"}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "kf_tokenkeeper_" + name, Help: help}, labels)
	}
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kf_tokenkeeper_" + name, Help: help}, append(labels, "result"))
	}
	m := &metrics{
		refreshes:  counter("refreshes_total", "Calls of gettoken, by what came of them."),
		suspects:   counter("suspects_total", "Reports of refused access tokens, by what was done about them."),
		age:        gauge("token_age_seconds", "Time since the access token in hand was fetched; 0 without one."),
		generation: gauge("token_generation", "Generation of the access token in hand; 0 without one."),
		leader:     gauge("leader", "1 if it is this keeper's turn to refresh."),
		stopped:    gauge("stopped", "1 if the secret was given up because the platform refused it too often."),
		malformed: prometheus.NewCounter(prometheus.CounterOpts{Name: "kf_tokenkeeper_malformed_suspects_total",
			Help: "Reports of refused access tokens that could not be read, or name a credential that is not kept here."}),
	}
	for _, c := range []prometheus.Collector{m.refreshes, m.suspects, m.age, m.generation, m.leader, m.stopped, m.malformed} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register the tokenkeeper's metrics: %w", err)
		}
	}
	return m, nil
}

// keeperMetrics are those of one credential.
type keeperMetrics struct {
	refreshes, suspects              *prometheus.CounterVec
	age, generation, leader, stopped prometheus.Gauge
}

// of makes a credential's metrics, all of them there from the start, so that a rate sees the first event.
func (m *metrics) of(c Credential) keeperMetrics {
	l := prometheus.Labels{"corp": c.Corp, "credential": c.Name}
	k := keeperMetrics{
		refreshes: m.refreshes.MustCurryWith(l), suspects: m.suspects.MustCurryWith(l),
		age: m.age.With(l), generation: m.generation.With(l), leader: m.leader.With(l), stopped: m.stopped.With(l),
	}
	for _, r := range results() {
		k.refreshes.WithLabelValues(r)
	}
	for _, s := range suspicions() {
		k.suspects.WithLabelValues(string(s))
	}
	return k
}

func (k keeperMetrics) refreshed(result string) { k.refreshes.WithLabelValues(result).Inc() }
func (k keeperMetrics) suspected(s suspicion)   { k.suspects.WithLabelValues(string(s)).Inc() }

func (k keeperMetrics) show(generation uint64, age time.Duration, held, leader, stopped bool) {
	if !held {
		age = 0
	}
	k.generation.Set(float64(generation))
	k.age.Set(age.Seconds())
	k.leader.Set(zeroOne(leader))
	k.stopped.Set(zeroOne(stopped))
}

func zeroOne(ok bool) float64 {
	if ok {
		return 1
	}
	return 0
}
