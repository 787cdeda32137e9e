//go:build !race

package window

const seeds = 2000
