//go:build !unix

package ingress

import (
	"testing"
	"time"
)

var begun = time.Now()

// cpuTime is wall time where nothing better is known.
func cpuTime(*testing.T) time.Duration { return time.Since(begun) }
