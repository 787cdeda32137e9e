package media

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"
)

// Results of a try, besides the reasons of a media_failed event: a closed set.
const (
	resultStored = "stored" // and the event says so
	resultLater  = "later"  // tried, and to be tried again
	resultOld    = "old"    // lay unread for longer than the platform keeps files
)

type metrics struct {
	tries   *prometheus.CounterVec
	bytes   *prometheus.CounterVec
	seconds prometheus.Histogram
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		tries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kf_syncer_media_total",
			Help: "Files of messages, by msgtype and what came of a try: stored, later, old, expired, too_large, unreadable."}, []string{"type", "result"}),
		bytes: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "kf_syncer_media_bytes_total",
			Help: "Bytes stored in kf_media, by msgtype."}, []string{"type"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "kf_syncer_media_seconds", Help: "Time of fetching one file, successful or not.",
			Buckets: []float64{.05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 120, 300}}),
	}
	return m, errors.Join(reg.Register(m.tries), reg.Register(m.bytes), reg.Register(m.seconds))
}
