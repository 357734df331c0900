// Package engineio is an Engine.IO v4 server: sessions over HTTP long-polling
// and WebSocket, with heartbeats and the upgrade from one to the other. It is
// what Socket.IO clients speak underneath. The clauses cited in the code
// (E-26, C-3) are those of docs/protocol.md.
//
// # Shape
//
// A [Server] is an http.Handler for one path. For each session it calls the
// function given to [NewServer] with the new [Session], and hands everything
// that it receives to the [Receiver] that the function returns. The other
// direction is [Session.Send], with [Message] values that are encoded once and
// may be shared by any number of sessions.
//
// # Order
//
// O1. Messages of one client reach its Receiver in the order in which the
// client sent them, one at a time, and after an upgrade those of the last POST
// before those of the WebSocket.
//
// O2. Messages sent to one session leave in the order of the Send calls, and
// the messages of one call leave next to each other, whatever the transport
// and across the upgrade. Each leaves at most once.
//
// O3. Receiver.Closed is called exactly once, after the last Receive has
// returned. The context of the session ends before it.
//
// # What is not promised
//
// That a message arrives: a nil error from Send means that it was queued. What
// was in flight when a connection broke, or in a poll that was aborted, is
// lost to this package. Whoever needs more resumes from positions of its own.
//
// # Concurrency
//
// All methods of Server, Session, Message and CORS may be called from any
// goroutine. Send, Close and the accessors never wait for a peer. Receivers
// are called without any lock held and may call everything, Close and Send
// included; only Flushed, Drain and Shutdown wait, and a Receiver must not call
// Shutdown. A Receiver must not panic.
//
// # Slow peers
//
// The queue of a session is bounded by bytes, by count and by age, and what is
// being written counts. When it is full, what a newer message with the same key
// replaces is given up first, then what is volatile ([Expendable]). A peer that
// still does not keep up loses its session ([ReasonSlow]) and nobody else
// notices. A sender with much to say to one session paces itself with
// [Session.Flushed].
//
// What waits for all peers together is bounded too. It is counted only for those
// who are behind, and only for them does anybody look at the clock: one more
// message to a session that keeps up costs what it did without bounds.
//
// # Compression
//
// Bodies of polls are compressed when the client accepts it. On WebSockets that
// is for the application to turn on, with [Config.Compression]. A message is
// compressed when the first session that agreed to it is about to write it, by
// one of at most eight compressors, and queues count it uncompressed. An idle
// connection costs no more than without.
//
// # Goroutines
//
// A session on polling has none; a held poll is a parked request. A session on
// WebSocket has one reader, started fresh so that the stack of the HTTP
// handler is given back, and kept small: calls of its Receiver are lent to one
// of a few workers, for which the reader waits. Idle workers end.
//
// What is sent over TCP is written by half as many writers as there are
// processors, which go from session to session, never wait for a peer, and end
// when all is written. A session whose socket is full gets a goroutine of its
// own until it has caught up, and so does one on any other connection, such as
// TLS.
//
// One timer of the runtime serves the heartbeats of all sessions.
// [Server.Shutdown] waits until all goroutines have ended.
//
// # Limits of the HTTP server
//
// Time limits for headers, their size, and idle connections are those of the
// http.Server. Its ReadTimeout and WriteTimeout do not end held polls or
// WebSockets: this package sets its own deadlines for each request, through
// http.ResponseController, so middleware that wraps the http.ResponseWriter
// needs an Unwrap method. A proxy in front must let a poll be held for
// PingInterval + PingTimeout.
//
// The package imports nothing of Larder, and only gobwas/ws from elsewhere.
package engineio
