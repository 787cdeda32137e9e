// Package natsconf makes the configuration of a NATS server for kfbus: who may do
// what there, and the server's own limits. Every name in it comes from pkg/events
// and internal/bus, so that a subject which is renamed there is renamed here.
//
// It knows no service's code. A service that needs another subject gets a line in
// services.go; the tests run all services with these permissions and fail on the
// first that is missing.
package natsconf
