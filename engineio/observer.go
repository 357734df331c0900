package engineio

// Observer is told what a [Server] does, for counters. Its methods are called
// from any goroutine, and with locks of this package held: they must be quick
// and must not call back. [Stats] counts the most important without one.
type Observer interface {
	// SessionOpened and SessionClosed tell of each session once. The transport
	// of the latter is the one that the session ended on.
	SessionOpened(t Transport)
	SessionClosed(t Transport, reason Reason)

	// Refused tells of a request that was not served, by the code of E-4 and
	// the HTTP status, which tells those apart that share a code.
	Refused(code, status int)

	// UpgradeEnded tells of each WebSocket that was let in to take over a
	// session that polls (E-44 to E-50), when it has, or will not.
	UpgradeEnded(ok bool)

	// Received and Sent count Engine.IO packets, heartbeats included, and the
	// bytes that they have on the transport: bodies before compression, frames
	// with their headers when sent and without them when received. What was
	// lost is not counted.
	Received(t Transport, packets, bytes int)
	Sent(t Transport, packets, bytes int)

	// QueueOverflowed tells of a session that is closed for what could not be
	// queued: how much was in the queue.
	QueueOverflowed(messages, bytes int)
}

// unobserved is the Observer of those who have none.
type unobserved struct{}

func (unobserved) SessionOpened(Transport)         {}
func (unobserved) SessionClosed(Transport, Reason) {}
func (unobserved) Refused(int, int)                {}
func (unobserved) UpgradeEnded(bool)               {}
func (unobserved) Received(Transport, int, int)    {}
func (unobserved) Sent(Transport, int, int)        {}
func (unobserved) QueueOverflowed(int, int)        {}

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
