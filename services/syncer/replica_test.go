package syncer

import (
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/kfbus/kfbus/internal/service"
	"github.com/kfbus/kfbus/internal/testkit"
	"github.com/kfbus/kfbus/pkg/kfapi"
)

type calls struct {
	*kfapi.Client
	before func(ctx context.Context, req kfapi.SyncMsgRequest) error
	after  func(ctx context.Context, req kfapi.SyncMsgRequest, page *kfapi.SyncMsgResponse)
}

func (c calls) SyncMsg(ctx context.Context, accessToken string, req kfapi.SyncMsgRequest) (kfapi.SyncMsgResponse, error) {
	if c.before != nil {
		if err := c.before(ctx, req); err != nil {
			return kfapi.SyncMsgResponse{}, err
		}
	}
	page, err := c.Client.SyncMsg(ctx, accessToken, req)
	if err == nil && c.after != nil {
		c.after(ctx, req, &page)
	}
	return page, err
}

type replica struct {
	*Syncer
	w      *world
	health *service.Health
	reg    *prometheus.Registry
	end    context.CancelFunc
	done   chan struct{}
}

func (w *world) prepare(change ...func(*Config, *Deps)) *replica {
	w.Helper()
	cfg := defaultConfig(w)
	cfg.AccountList = time.Hour
	cfg.Sweep = time.Hour
	cfg.TokenlessPerMinute = 6000
	r := &replica{w: w, health: service.NewHealth(time.Now), reg: prometheus.NewRegistry(), done: make(chan struct{})}
	d := Deps{
		Deps: service.Deps{Log: w.log, Metrics: r.reg, Health: r.health, Now: time.Now},
		Corp: w.corp.CorpID, API: w.client, Tokens: w.keeper, Bus: w.connect("syncer"),
	}
	for _, f := range change {
		f(&cfg, &d)
	}
	s, err := New(cfg, d)
	w.must(err)
	s.waits = waits{
		tries: 3, patience: time.Second, soon: 50 * time.Millisecond, most: time.Second, stuck: 50 * time.Millisecond, lost: time.Hour,
		block: time.Second, spread: 10 * time.Millisecond, full: 50 * time.Millisecond, batch: 5 * time.Millisecond, token: 5 * time.Second,
		check: 100 * time.Millisecond, beat: 50 * time.Millisecond, list: 50 * time.Millisecond, restart: 50 * time.Millisecond,
	}
	r.Syncer = s
	return r
}

func (r *replica) start() *replica {
	ctx, end := context.WithCancel(context.WithoutCancel(r.w.ctx()))
	r.end = end
	go func() {
		defer close(r.done)
		if err := r.Run(ctx); err != nil {
			r.w.Error(err)
		}
	}()
	r.w.Cleanup(r.stop)
	return r
}

func (w *world) syncer(change ...func(*Config, *Deps)) *replica { return w.prepare(change...).start() }

func (r *replica) stop() {
	r.end()
	<-r.done
}

func (r *replica) kill() {
	r.bus.NC.Close()
	r.end()
}

func (r *replica) counted(name string, labels ...string) int {
	r.w.Helper()
	families, err := r.reg.Gather()
	r.w.must(err)
	sum := 0.0
	for _, f := range families {
		for _, m := range f.GetMetric() {
			var have []string
			for _, l := range m.GetLabel() {
				have = append(have, l.GetValue())
			}
			missing := slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(have, l) })
			if f.GetName() == name && !missing {
				sum += m.GetCounter().GetValue() + m.GetGauge().GetValue()
			}
		}
	}
	return int(sum)
}

func (r *replica) ready(want bool, reason string) {
	r.w.Helper()
	var got service.Report
	defer func() {
		if r.w.Failed() {
			r.w.Logf("%+v", got)
		}
	}()
	testkit.Eventually(r.w, "readiness "+strconv.FormatBool(want)+" "+reason, func() bool {
		got = r.health.Report()
		return got.Ready == want && (reason == "" || slices.ContainsFunc(got.Checks, func(c service.CheckReport) bool {
			return !c.OK && strings.Contains(c.Name+": "+c.Reason, reason)
		}))
	})
}

func small(limit int) func(*Config, *Deps) {
	return func(c *Config, _ *Deps) { c.PageLimit = limit }
}

func sweeping(c *Config, _ *Deps) { c.Sweep, c.AccountList = shortestSweep, shortestSweep }

func with(c calls) func(*Config, *Deps) {
	return func(_ *Config, d *Deps) {
		c.Client = d.API.(*kfapi.Client)
		d.API = c
	}
}
