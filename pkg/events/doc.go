// Package events is the contract on the bus: the name of every subject, stream,
// bucket, event type and attribute, and the data inside the events that kfbus
// makes itself. Producers and consumers written in Go may use it; those in other
// languages read the same names in docs/contract.md.
//
// It knows no NATS client, no service and no configuration. What WeChat sent
// stays as WeChat sent it: the data of a message is the platform's own JSON,
// byte for byte.
//
// A subject is a list of tokens. Ids become tokens by [Token]; the true id is
// always inside the event, never only in its subject.
package events
