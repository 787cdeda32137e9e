package media

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/kfbus/kfbus/pkg/events"
)

// Config is the part of the environment that is about files. Its zero value is not usable; envconfig fills in the defaults.
type Config struct {
	Types    []string         `example:"image,voice" desc:"messages whose files are fetched into kf_media: image, voice, video, file; none when empty"`
	MaxBytes map[string]int64 `split_words:"true" example:"image:5242880,video:104857600" desc:"largest file by type, in bytes; 20971520 (20 MiB) where nothing is said, 268435456 at most"`
	Workers  int              `default:"4" unit:"1 to 64" desc:"files fetched at the same time"`
	History  bool             `default:"false" desc:"fetch the files of kf.history too, as far as WeChat still has them"`
}

const (
	defaultMax = 20 << 20  // bytes: what a customer can send
	largestMax = 256 << 20 // bytes: more than the platform keeps
)

// Validate reports what is out of bounds, all at once.
func (c Config) Validate() error {
	known := events.MediaTypes()
	var errs []error
	for _, t := range c.Types {
		if !slices.Contains(known, t) {
			errs = append(errs, fmt.Errorf("KF_SYNCER_MEDIA_TYPES names %q, and may name %s", t, strings.Join(known, ", ")))
		}
	}
	for t, n := range c.MaxBytes {
		switch {
		case !slices.Contains(known, t):
			errs = append(errs, fmt.Errorf("KF_SYNCER_MEDIA_MAX_BYTES names %q, and may name %s", t, strings.Join(known, ", ")))
		case n < 1 || n > largestMax:
			errs = append(errs, fmt.Errorf("KF_SYNCER_MEDIA_MAX_BYTES is %d for %s and must be 1 to %d", n, t, largestMax))
		}
	}
	if c.Workers < 1 || c.Workers > 64 {
		errs = append(errs, fmt.Errorf("KF_SYNCER_MEDIA_WORKERS is %d and must be 1 to 64", c.Workers))
	}
	return errors.Join(errs...)
}

// max is the largest file of a type, in bytes.
func (c Config) max(msgType string) int64 {
	if n, ok := c.MaxBytes[msgType]; ok {
		return n
	}
	return defaultMax
}
