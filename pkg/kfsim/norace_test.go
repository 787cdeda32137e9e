//go:build !race

package kfsim

const raceDetector = false
