// Package bus is events over JetStream: the connection, the topology, ids,
// atomic batches, lanes, acknowledgements and delayed work. It is the one place
// that knows the CloudEvents binding for NATS, and the one place that knows the
// server's error codes.
//
// It knows no service and nothing of WeChat. It does not hide nats.go: where
// that is enough, callers use it through [Bus.JS].
//
// Every write here has three answers, not two: it was stored, it was refused, or
// nobody knows ([ErrUnknown]). Callers must treat the third as a result, never
// as a failure: read again, or repeat only what is safe to repeat.
package bus
