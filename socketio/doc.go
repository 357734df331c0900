// Package socketio is a Socket.IO server, protocol version 5, on top of package
// engineio. The stock JavaScript client talks to it, over WebSocket and over
// polling. Comments cite the clauses S-1 to S-57 of docs/protocol.md.
//
// # Use
//
// Make a [Server], take its namespaces with [Server.Of] or [Server.OfFunc], set
// their middlewares and handlers, then serve it on the path of its Engine.IO configuration. What
// is sent is an [Event], encoded once for all who receive it; where it goes is
// a set of rooms.
//
// # Parsers
//
// A client with socket.io-msgpack-parser is served beside those with the default
// one: its first message, which is binary, tells (S-45). Handlers and senders see
// no difference. Events are JSON with attachments in both cases, and an event is
// encoded once for each parser that somebody speaks.
//
// # Order
//
// Packets of one connection are handled in the order of the wire, one at a
// time, on the connection's reader: middlewares, OnConnect, event handlers. A
// slow handler holds up its own client only, but it does hold it up: pongs are
// read by the same reader, so a handler that takes longer than the ping timeout
// loses its connection.
//
//   - The CONNECT answer is the first thing a client gets in a namespace.
//     OnConnect runs after it was queued and before any packet of that client
//     is dispatched (S-12). A client that does not wait for the answer loses
//     nothing by it: its events are handled after OnConnect.
//   - What one goroutine sends to a socket, alone or through rooms, arrives in
//     that order (S-43). Between goroutines there is no order, and two sockets
//     may then see two orders.
//   - Attachments follow their packet with nothing in between (S-30).
//   - OnDisconnect runs once, only if OnConnect was called, and after the
//     socket's last handler has returned. If the application disconnects a
//     socket that is in no handler, it runs on the caller's goroutine.
//   - Who comes back with recovery gets its answer, what it missed, what was sent
//     meanwhile, and then has its OnConnect (S-53).
//   - After OnDisconnect nothing is left of a socket: no room, no ack, no timer.
//
// # What is not promised
//
// Sending is at most once: a connection that breaks loses what was queued for
// it, see Recovery for what helps. Nothing is known of what a client has read, but
// by an ack or by the offset that it comes back with. A list of sockets is taken before it is sent to, so an event may still
// follow a DISCONNECT, or the leaving of a room, that happened at the same time.
//
// # Concurrency
//
// All methods are safe for concurrent use, but namespaces and handlers are
// fixed by the first request: setting one later panics. No method waits for a
// client except those called EmitAck. No lock is held while a handler, a
// middleware or the engine is called, so all of them may call back.
//
// # Recovery
//
// A client whose connection broke can come back as the socket it was, with the
// same id, rooms and data, and get what it missed (S-50 to S-57). It is turned on
// for a namespace by Recover. [MemoryRecovery] remembers events for some minutes
// and needs no more. An application that has a log of its events writes a
// [Recovery] of its own, which can survive the process.
//
// A client is recovered completely or begins anew: [Socket.Recovered] tells. It
// then needs a snapshot, as one does that is new. Volatile events and those
// that ask for an ack are not replayed. A client that was disconnected from
// its namespace, by either side, does not come back; so let go of clients that
// shall by [Socket.Close].
//
// # Failures
//
// A client that breaks the protocol loses its whole connection, with the reason
// "parse error", and the log says why: the JavaScript client would show it as
// a lost connection and no more (S-7). A handler that fails or panics is told to
// OnError and never harms another socket. A connection that does not read what
// it is sent is closed by the engine.
//
// Whatever a client can make grow has a bound in [Config]: namespaces and rooms
// joined, attachments half received by number, bytes and age, acks outstanding,
// the size of what it authenticates with, events per second ([Rates]). Handlers of
// one connection run one at a time, so it never keeps more than one of them busy.
// A child of a [Parent] lives no longer than its sockets. What waits for a client
// behind a replay is bounded as its queue is.
//
// # Lifecycle
//
// [NewServer] starts nothing. The package starts no goroutine; it has a timer
// for each connection without a namespace and for each packet whose attachments
// are on their way. [Server.Shutdown] ends all connections.
//
// # Not here
//
// Several nodes, and with them the flag "local": on one node all that is emitted
// is.
//
// Imports: the standard library and package engineio.
package socketio
