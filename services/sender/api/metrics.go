package api

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// resultOK is the result of what was answered by the platform with errcode 0; all others are categories of refusals.
const resultOK = "ok"

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kf_sender_api_requests_total",
			Help: "Requests for calls of the platform that were answered."}, []string{"api", "result"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "kf_sender_api_seconds",
			Help:    "Time from a request to its reply.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 90}}, []string{"api"}),
	}
	return m, errors.Join(reg.Register(m.requests), reg.Register(m.seconds))
}
