//go:build !race

package kfcrypto

const raceFactor = 1
