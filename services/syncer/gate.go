package syncer

import (
	"context"
	"errors"
	"time"
)

// gate lends the shared pauses to the fetchers of files.
type gate struct{ s *Syncer }

// Until says until when an API is shut; the zero time if it is open.
func (g gate) Until(ctx context.Context, api string) (time.Time, error) {
	err := g.s.open(ctx, api)
	var shut *shutError
	if errors.As(err, &shut) {
		return shut.until, nil
	}
	return time.Time{}, err
}

// Shut shuts an API for all replicas, and returns until when. Readiness is not its business.
func (g gate) Shut(ctx context.Context, api string) time.Time { return g.s.block(ctx, api) }
