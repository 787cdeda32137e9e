package service

import (
	"context"
	"time"

	"github.com/rs/zerolog"
)

const watchEvery = 10 * time.Second

// WatchSecrets returns a part that looks at every secret file of cfgs each 10 s, and logs when one has changed and when
// one cannot be read any more, so that a rotation gone wrong is seen before the old secret stops working. Secrets are
// read again without it too; it only tells. cfgs must be what Load has filled.
func WatchSecrets(log zerolog.Logger, prefix string, cfgs ...any) Part {
	return Part{Name: "secrets", Run: func(ctx context.Context) error {
		watched, err := watchedSecrets(prefix, cfgs)
		if err != nil {
			return err
		}
		tick := time.NewTicker(watchEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
				for i := range watched {
					watched[i].look(log)
				}
			}
		}
	}}
}

type watchedSecret struct {
	variable string
	source   *secretSource
	revision int
	failing  bool
}

func watchedSecrets(prefix string, cfgs []any) ([]watchedSecret, error) {
	fields, err := gather(prefix, cfgs)
	if err != nil {
		return nil, err
	}
	var watched []watchedSecret
	for _, f := range fields {
		s := f.secret()
		if s == nil || s.source == nil || s.source().path == "" {
			continue
		}
		revision, _ := s.source().state()
		watched = append(watched, watchedSecret{variable: f.Name + fileSuffix, source: s.source(), revision: revision})
	}
	return watched, nil
}

func (w *watchedSecret) look(log zerolog.Logger) {
	revision, err := w.source.state()
	if err != nil && !w.failing {
		log.Error().Err(err).Str("variable", w.variable).Msg("secret file cannot be read; the last value stays in use")
	}
	if revision != w.revision || err == nil && w.failing {
		log.Info().Str("variable", w.variable).Bool("changed", revision != w.revision).Msg("secret file read again")
	}
	w.revision, w.failing = revision, err != nil
}
