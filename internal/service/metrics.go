package service

import (
	"runtime"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// newMetrics returns a registry with the process, the Go runtime, kf_build_info, kf_ready and kf_check_ok.
func newMetrics(app App, health *Health) *prometheus.Registry {
	build := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "kf_build_info",
		Help: "1, with what runs as labels.",
		ConstLabels: prometheus.Labels{
			"service": app.Name, "version": app.Version, "revision": app.Revision, "goversion": runtime.Version(),
		},
	})
	build.Set(1)
	reg := prometheus.NewRegistry()
	reg.MustRegister(build, newHealthCollector(health),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// healthCollector shows readiness as it is when scraped, as probes age without an event.
type healthCollector struct {
	health       *Health
	ready, check *prometheus.Desc
}

func newHealthCollector(health *Health) healthCollector {
	return healthCollector{
		health: health,
		ready:  prometheus.NewDesc("kf_ready", "1 if /readyz answers 200.", nil, nil),
		check:  prometheus.NewDesc("kf_check_ok", "1 if the readiness check is ok.", []string{"check"}, nil),
	}
}

// Describe sends both descriptions.
func (c healthCollector) Describe(out chan<- *prometheus.Desc) {
	out <- c.ready
	out <- c.check
}

// Collect sends kf_ready and one kf_check_ok a probe.
func (c healthCollector) Collect(out chan<- prometheus.Metric) {
	report := c.health.Report()
	out <- prometheus.MustNewConstMetric(c.ready, prometheus.GaugeValue, zeroOne(report.Ready))
	for _, k := range report.Checks {
		out <- prometheus.MustNewConstMetric(c.check, prometheus.GaugeValue, zeroOne(k.OK), k.Name)
	}
}

func zeroOne(ok bool) float64 {
	if ok {
		return 1
	}
	return 0
}
