// Package client is a Go client of Larder: its requests, and its live events
// with resume.
//
// # Requests
//
// Every method takes a context and returns the types of package api. A refusal
// is an *api.Error, found with errors.AsType; anything else is a connection that
// did not work. Whatever changes something carries an Idempotency-Key, and a try
// that got no answer is repeated under the same key: it happens once.
//
// # Live events
//
// Watch yields what was committed, each event once and in order, for as long as
// its context lives. It reconnects by itself and asks the log for what happened
// meanwhile. When the log can no longer tell, it says so with a gap, and the
// caller takes a snapshot. Connect is one connection without any of that, for
// asking.
//
// # Concurrency
//
// A Client and a Conn may be used from many goroutines. A Conn has one goroutine
// that reads; Close waits for it. A Watch runs on the goroutine that ranges over
// it and owns one Conn at a time. Nothing else is started, and nothing outlives
// its owner.
//
// Imports: the standard library, gobwas/ws, and the packages api, engineio and
// socketio for types and codecs.
package client
