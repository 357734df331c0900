package engineio

import "time"

// Observer is told what a [Server] does, for counters. Its methods are called
// from any goroutine, and with locks of this package held: they must be quick
// and must not call back. [Stats] counts the most important without one. Embed
// [Unobserved] to hear of some things only.
type Observer interface {
	// SessionOpened and SessionClosed tell of each session once. The transport
	// of the latter is the one that the session ended on.
	SessionOpened(t Transport)
	SessionClosed(t Transport, reason Reason)

	// Refused tells of a request that was not served.
	Refused(why Refusal)

	// UpgradeEnded tells of each WebSocket that was let in to take over a
	// session that polls (E-44 to E-50), when it has, or will not: to carry the last
	// words of one that is closed already (E-49) is not to take it over.
	UpgradeEnded(ok bool)

	// Received and Sent count Engine.IO packets, heartbeats included, and the
	// bytes that they have on the transport, before compression: bodies, and
	// frames with their headers when sent and without them when received. What
	// was lost is not counted.
	Received(t Transport, packets, bytes int)
	Sent(t Transport, packets, bytes int)

	// Ponged tells how long a client took to answer a ping (E-55).
	Ponged(roundTrip time.Duration)

	// Waited tells how long the oldest of some messages had been queued when
	// they were taken to be written, if its peer was behind.
	Waited(age time.Duration)

	// Merged and Dropped count what an overflow took out of a queue: messages
	// that a newer one with the same key replaces, and volatile ones.
	Merged(messages int)
	Dropped(messages int)

	// QueueOverflowed tells of a session that is closed for what could not be
	// queued: how much was in the queue.
	QueueOverflowed(messages, bytes int)
}

// Unobserved is an [Observer] that nobody listens to.
type Unobserved struct{}

// The methods of [Observer], which do nothing.
func (Unobserved) SessionOpened(Transport)         {}
func (Unobserved) SessionClosed(Transport, Reason) {}
func (Unobserved) Refused(Refusal)                 {}
func (Unobserved) UpgradeEnded(bool)               {}
func (Unobserved) Received(Transport, int, int)    {}
func (Unobserved) Sent(Transport, int, int)        {}
func (Unobserved) Ponged(time.Duration)            {}
func (Unobserved) Waited(time.Duration)            {}
func (Unobserved) Merged(int)                      {}
func (Unobserved) Dropped(int)                     {}
func (Unobserved) QueueOverflowed(int, int)        {}

// sentFrames counts what a WebSocket has taken.
func (srv *Server) sentFrames(out outgoing) {
	bytes := 0
	for _, m := range out.batch {
		bytes += len(m.frame)
	}
	if len(out.batch) > 0 {
		srv.cfg.Observer.Sent(WebSocket, len(out.batch), bytes)
	}
}
