// Package gateway is the doors for live clients: Socket.IO on the namespaces
// /donations and /, a plain WebSocket at /donations, and server-sent events at
// /events (docs/protocol.md, P-1 on).
//
// A client is authenticated before anything is delivered. It then hears
// feed.ready with the position from which on it hears everything that it may
// see. All of that comes from fanout, and so from the committed log; what a
// client sends is answered to itself alone.
//
// # Concurrency
//
// Deliver is called by the fan-out, one message at a time, and never waits for a
// client: each connection has a bounded queue and is closed when it can't keep
// up. Handlers of one client run one at a time, on the reader of its connection.
// Run warns and closes the clients whose tokens end; it is its owner's to start.
// The package starts no goroutine save the readers and writers of plain
// WebSockets, for which Shutdown waits, and one in Drain, which does.
package gateway
