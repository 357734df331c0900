package engineio

import (
	"fmt"
	"slices"
	"time"
)

// What made a peer slow. Each matches [ErrSlow].
var (
	errQueueFull   = fmt.Errorf("%w: queue is full", ErrSlow)
	errQueueOld    = fmt.Errorf("%w: messages wait for too long", ErrSlow)
	errQueueBudget = fmt.Errorf("%w: all queues together are full", ErrSlow)
)

// behindLocked reports whether what is sent now would wait for the peer: on
// polling because no poll is held, on WebSocket because a flusher is busy with
// a connection that did not take the last. Only for such sessions is it counted
// what waits, and since when.
func (s *Session) behindLocked() bool {
	if s.transport == Polling {
		return s.held == nil
	}
	return s.stuck
}

// pushLocked queues a batch. If there is no room it makes some, and if that is
// not enough the error says what is full (E-70).
func (s *Session) pushLocked(batch []*Message) error {
	behind := s.behindLocked()
	if behind && s.staleLocked() {
		return errQueueOld
	}
	bytes, count := batchCost(batch)
	if s.fitsLocked(bytes, count) != nil {
		var err error
		// A copy, for what is given to Send must not move to the heap for this.
		if batch, err = s.makeRoomLocked(slices.Clone(batch)); err != nil {
			return err
		}
		bytes, count = batchCost(batch)
	}
	s.queue.push(batch, bytes, count, s.srv.cfg.QueueBytes)
	if behind {
		s.waitsLocked()
	}
	return nil
}

// makeRoomLocked gives up what it may until a batch fits: first what waits and
// is outdated, then what waits and is volatile, then what is volatile in the
// batch. It returns what is left of the batch.
func (s *Session) makeRoomLocked(batch []*Message) ([]*Message, error) {
	merge := func() int { return s.queue.merge(batch) }
	leaveOut := func() int {
		all := len(batch)
		batch = withoutVolatile(batch)
		return all - len(batch)
	}
	observer := s.srv.cfg.Observer
	for _, step := range []struct {
		giveUp func() int
		tell   func(messages int)
	}{{merge, observer.Merged}, {s.queue.dropVolatile, observer.Dropped}, {leaveOut, observer.Dropped}} {
		n := step.giveUp()
		if n == 0 {
			continue
		}
		step.tell(n)
		s.accountLocked()
		if len(batch) == 0 || s.fitsLocked(batchCost(batch)) == nil {
			return batch, nil
		}
	}
	return nil, s.fitsLocked(batchCost(batch))
}

// fitsLocked looks at the bounds of the session, and at that of all sessions
// together if this one is behind. A queue that is empty takes everything.
func (s *Session) fitsLocked(bytes, count int) error {
	cfg := &s.srv.cfg
	switch {
	case !s.queue.fits(bytes, count, cfg.QueueBytes, cfg.QueueMessages):
		return errQueueFull
	case s.queue.count > 0 && s.behindLocked() && s.srv.queued.Load()+int64(bytes) > int64(cfg.MaxQueued):
		return errQueueBudget // E-71
	}
	return nil
}

// withoutVolatile returns what of a batch may not be dropped.
func withoutVolatile(batch []*Message) []*Message {
	var lasting []*Message
	for _, p := range packets(batch) {
		if e := p[0].expend; e == nil || !e.Volatile {
			lasting = append(lasting, p...)
		}
	}
	return slices.Clip(lasting)
}

// waitsLocked notes since when something waits for a peer that is behind.
func (s *Session) waitsLocked() {
	if s.queue.since == 0 && !s.queue.empty() {
		s.queue.since = s.srv.clock()
	}
}

// staleLocked reports whether something has waited for too long. A client that
// polls has as long as for a pong, if that is longer: a ping would wait for its
// next poll just the same, and nobody who may still answer it in time is cut.
func (s *Session) staleLocked() bool {
	if s.queue.since == 0 {
		return false
	}
	limit := s.srv.cfg.QueueAge
	if s.transport == Polling {
		limit = max(limit, s.srv.cfg.PingTimeout)
	}
	return s.srv.clock()-s.queue.since > limit
}

// slowLocked closes the session for what it could not take.
func (s *Session) slowLocked(err error) {
	s.srv.cfg.Observer.QueueOverflowed(s.queue.count, s.queue.bytes)
	// On WebSocket the close frame follows what is being written, if the peer
	// takes that within the write timeout.
	s.closeLocked(Cause{ReasonSlow, err}, farewell{packet: closeMessage, code: statusFor(ReasonSlow)})
}

// dequeueLocked takes what waits, to write it.
func (s *Session) dequeueLocked(dst []*Message) []*Message {
	if since := s.queue.since; since != 0 {
		s.srv.cfg.Observer.Waited(s.srv.clock() - since)
	}
	return s.queue.take(dst)
}

// accountLocked brings the server's account of what waits up to date (E-71). It
// is called whenever that may have changed for a session that is or was behind;
// for all others it costs a look at two fields.
func (s *Session) accountLocked() {
	bytes := 0
	if s.behindLocked() {
		bytes = s.queue.bytes
	}
	if bytes != s.counted {
		s.srv.queued.Add(int64(bytes - s.counted))
		s.counted = bytes
	}
}

// stuckLocked says that a flusher writes to the WebSocket, waiting for the peer.
func (s *Session) stuckLocked() {
	s.stuck = true
	s.waitsLocked()
	s.accountLocked()
}

// clock is the time of a server, by which messages wait and deadlines pass. It is
// never 0.
func (srv *Server) clock() time.Duration { return time.Since(srv.began) + 1 }
