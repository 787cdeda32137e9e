package service

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// App says what runs. It is in every log line and in the metric kf_build_info.
type App struct {
	Name     string // the mode: ingress, syncer, sender, tokenkeeper, dev
	Version  string
	Revision string // of the source; may be empty
}

// Deps is what the New of every service is handed besides its Config.
type Deps struct {
	Log     zerolog.Logger
	Metrics prometheus.Registerer
	Health  *Health
	Now     func() time.Time
}
