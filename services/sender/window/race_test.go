//go:build race

package window

// Nothing here runs at once: under the race detector a sample of the worlds will do.
const seeds = 300
