//go:build race

package kfcrypto

const raceFactor = 20 // what the race detector may cost
