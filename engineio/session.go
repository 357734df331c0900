package engineio

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"
)

// Receiver gets everything of one session, in the order of the wire. Its
// methods are never called concurrently for one session.
//
// A receiver that is slow slows down its own client, and one that does not
// return within the ping timeout loses it, for the pong waits behind it.
type Receiver interface {
	// Receive takes a text message. The bytes are valid only during the call.
	// An error closes the session with ReasonParseError.
	Receive(text []byte) error

	// ReceiveBinary takes a binary message, under the same rules.
	ReceiveBinary(data []byte) error

	// Closed is called once, after the last Receive has returned.
	Closed(cause Cause)
}

// UpgradeReceiver is a [Receiver] that wants to know of the upgrade (E-51).
type UpgradeReceiver interface {
	Receiver

	// Upgraded is called once at most, between two calls of Receive, after
	// Session.Transport has become WebSocket.
	Upgraded()
}

// ClosingReceiver is a [Receiver] that wants to know at once that its session
// has closed, to stop what it is doing: Closed waits for that.
type ClosingReceiver interface {
	Receiver

	// Closing is called at most once, before Closed. Unlike the other methods it may
	// be called while one of them runs.
	Closing(cause Cause)
}

// phase is where a session is in its life.
type phase uint8

const (
	phaseOpen    phase = iota + 1
	phaseClosing       // takes and receives nothing more; its last words are leaving
	phaseClosed        // nothing leaves any more
)

// upgradeStep is how far the way from polling to WebSocket has been gone.
type upgradeStep uint8

const (
	upgradeNone     upgradeStep = iota + 1
	upgradeReserved             // a WebSocket was let in; its 2probe has not been read
	upgradeProbed               // 3probe has been sent
	upgradeDone                 // the session is on its WebSocket, for good
)

// Session is one Engine.IO connection, over whatever transport it has now. Its
// methods are safe for concurrent use.
//
// There are many, and most of them are idle: small fields stand together, and
// what few sessions need at a time is behind pointers.
type Session struct {
	srv *Server
	id  string
	req *Request

	address string // whose it counts as (E-72)

	// receiver is written once, under the receive turn of start and with mu
	// held, and read under later turns or with mu held.
	receiver Receiver

	life Lifetime // the context of the session
	due  due      // guarded by srv.deadlines

	mu        sync.Mutex // guards all below; never held while calling out or writing
	transport Transport
	phase     phase
	upgrade   upgradeStep
	told      bool // Receiver.Closed has returned
	hurried   bool // the server shuts down: last words have less time
	receiving bool // somebody has the receive turn
	pinged    bool // a ping is out, deadline is the pong's
	reading   bool // on WebSocket: the reader runs; it closes conn when it ends
	flushing  bool // a flusher runs, or a writer will come
	stuck     bool // a flusher runs, and waits for the peer
	deflates  bool // permessage-deflate was negotiated (E-41)

	unaccepted bool // guarded by srv.mu

	probes int32 // requests and goroutines that are busy with an upgrade

	queue   queue
	counted int // bytes of the queue that are in srv.queued

	deadline time.Duration // when there is something to do, in absolute terms (E-59)
	pingedAt time.Duration // when the ping was queued; both by the server's clock

	held     *poll           // on polling: the GET that waits
	posting  *post           // on polling: it is being read or handed on
	repeats  *repeats        // on polling: the requests that came last; nil if there were none
	conn     net.Conn        // on WebSocket
	raw      syscall.RawConn // under conn; nil if writes must go through conn
	probe    net.Conn        // a WebSocket that may become conn
	control  *controlFrames  // that wait to be written; nil if none do
	farewell *farewell       // what the peer is told last; nil while the session is open

	// Closed when what they are named after has come about; nil if nobody waits.
	drained chan struct{} // the queue is empty, or the session closes
	turn    chan struct{} // the receive turn is free
	flushed chan struct{} // the flusher has ended
}

// ID returns the session id. Whoever knows it can act as the client, so it
// does not belong in logs: log the session itself instead.
func (s *Session) ID() string { return s.id }

// LogValue implements slog.LogValuer with the beginning of the id.
func (s *Session) LogValue() slog.Value { return slog.StringValue(s.id[:6]) }

// Request returns what is kept of the opening request. It must not be changed.
func (s *Session) Request() *Request { return s.req }

// Context is cancelled, with the [Cause] as its cause, when the session closes.
// It carries no values: the context of the opening request ended with that.
func (s *Session) Context() context.Context { return &s.life }

// Ended returns why the session has closed, if it has.
func (s *Session) Ended() (Cause, bool) { return s.life.Ended() }

// Address returns what Config.Address made of the opening request.
func (s *Session) Address() string { return s.address }

// Accept says that the application knows who the client is, or does not care: the
// session no longer counts against Config.MaxUnaccepted (E-72). It may be called
// more than once.
func (s *Session) Accept() {
	s.srv.mu.Lock()
	defer s.srv.mu.Unlock()
	s.srv.acceptedLocked(s)
}

// Transport returns the current transport; it changes once, on upgrade.
func (s *Session) Transport() Transport {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.transport
}

// Send enqueues the messages next to each other: nothing comes between them on
// the wire. It never waits for the peer. If the batch does not fit in the
// queue, and giving up what is [Expendable] makes no room, the session closes
// with [ReasonSlow] and Send returns [ErrSlow]; after any close it returns
// [ErrClosed]. A nil error does not mean that the peer
// has or will get the messages.
func (s *Session) Send(batch ...*Message) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.phase != phaseOpen {
		return ErrClosed
	}
	if err := s.pushLocked(batch); err != nil {
		s.slowLocked(err)
		return ErrSlow
	}
	s.kickLocked()
	s.accountLocked()
	return nil
}

// Writable reports whether a message sent now would leave at once: nothing is
// queued or being written and, on polling, a poll is held.
func (s *Session) Writable() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.phase == phaseOpen && s.queue.idle() && (s.transport == WebSocket || s.held != nil)
}

// Flushed waits until all that was enqueued has been written. It is for a
// sender with more to say than the queue holds. It returns ErrClosed when the
// session closes first, and the cause of ctx when that ends first.
//
// It may be called from inside Receive. A POST that brought the packet is answered
// first: there are clients that poll only then, and nothing would leave (E-23).
func (s *Session) Flushed(ctx context.Context) error {
	for {
		s.mu.Lock()
		idle, open := s.queue.idle(), s.phase == phaseOpen
		if s.drained == nil && open && !idle {
			s.drained = make(chan struct{})
		}
		drained := s.drained
		var post *post
		if open && !idle && s.receiving {
			post, s.posting = s.posting, nil
		}
		s.mu.Unlock()
		if post != nil {
			post.answer(true, s.srv.cfg.WriteTimeout)
		}
		if !open {
			return ErrClosed
		}
		if idle {
			return nil
		}
		select {
		case <-drained:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// enqueueLocked queues one of the engine's own packets, which always fits.
func (s *Session) enqueueLocked(m *Message) {
	s.queue.force(m)
	s.kickLocked()
}

// kickLocked gets moving whoever carries out what is queued: the held poll, a
// writer, or a flusher of the session's own.
func (s *Session) kickLocked() {
	switch s.transport {
	case Polling:
		if s.held != nil {
			s.held.nudge()
		}
	case WebSocket:
		if s.flushing || !s.anyLocked() {
			return
		}
		s.flushing = true
		if s.raw != nil {
			s.srv.writers.add(s)
		} else {
			out, _ := s.takeLocked(nil)
			s.stuckLocked() // who writes here waits for the peer
			go s.flush(out, 0)
		}
	}
}

// wroteLocked takes a batch that has been written, or lost, off the account.
func (s *Session) wroteLocked(batch []*Message) {
	s.queue.done(batch)
	s.accountLocked()
	if s.queue.idle() {
		signal(&s.drained)
	}
}

// signal wakes whoever waits on *c, which may be nil.
func signal(c *chan struct{}) {
	if *c != nil {
		close(*c)
		*c = nil
	}
}
