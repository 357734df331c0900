// Package wire has raw clients for tests of everything that is served over
// HTTP polling and WebSocket: clients that see each byte, and that can
// misbehave.
//
// A [Listener] is an in-memory network. All of it may be used inside a
// testing/synctest bubble: a pipe that waits counts as blocked, so time runs.
// Its connections have no buffers: a write ends when the other side has read,
// which makes a peer that does not read stall the writer at once.
//
// [WebSocket] sends any frame or half frame, [Polling] any request. Neither
// answers pings, reconnects, or does anything else by itself. They also work
// over a real network, with another [DialFunc] or http.Client.
//
// Values of this package are for one goroutine at a time, except that one may
// read from a WebSocket while another writes. Nothing is started behind the
// caller's back except by [Serve], which stops it at the end of the test.
package wire
