// Package conformance holds the typed client, pkg/kfapi, and the simulated platform, pkg/kfsim, against each other. Neither
// may know the other, or both could share one mistake; so what one says and the other understands is tested here, beside
// both: every call and what stands behind its reply, every documented error, every limit that both keep. It has tests only.
package conformance
