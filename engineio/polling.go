package engineio

import (
	"errors"
	"net/http"
	"strconv"
	"time"
)

// poll is a GET that waits for something to carry. Its handler is parked on
// wake and decides by itself, under the session's lock, what it has been woken
// for: so it takes all that has been queued by then.
type poll struct {
	wake   chan struct{} // capacity 1
	noopAt time.Time     // while an upgrade is probing: when to end with a noop
	mark   uint64        // by which it is told from others; 0: it has none
}

func (p *poll) nudge() {
	select {
	case p.wake <- struct{}{}:
	default: // it has yet to see the last nudge
	}
}

// pollOutcome is what becomes of a held poll.
type pollOutcome uint8

const (
	pollWaits   pollOutcome = iota + 1
	pollCarries             // ends with packets
	pollRefused             // ends with a refusal
)

// openPolling opens a session that polls.
func (srv *Server) openPolling(w http.ResponseWriter, r *http.Request, address string) {
	s := srv.newSession(r, Polling)
	s.address = address
	if !srv.start(s) {
		srv.refuse(w, r, refuseShutdown)
		return
	}
	// What the application sent meanwhile waits for the next poll: clients
	// expect the open packet alone (E-6).
	body := AppendPacket(nil, Packet{Type: PacketOpen, Data: srv.openJSON(s)})
	if srv.answer(w, body) == nil {
		srv.cfg.Observer.Sent(Polling, 1, len(body))
	}
}

// servePoll answers a GET with what is queued, or holds it until something is
// (E-20).
func (s *Session) servePoll(w http.ResponseWriter, r *http.Request) {
	p := &poll{wake: make(chan struct{}, 1), mark: markOf(r.URL.Query().Get("t"))}
	if refused := s.admitPoll(p); refused != nil {
		s.srv.refuse(w, r, refused)
		return
	}
	// The write timeout of the HTTP server is made for requests that are
	// answered at once (E-12). Its read timeout ends with the request's body.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Time{})

	var tick <-chan time.Time
	for {
		if r.Context().Err() != nil {
			s.pollAborted(p)
			return
		}
		outcome, batch, refused := s.settlePoll(p)
		switch outcome {
		case pollCarries:
			s.carry(w, r, batch)
			return
		case pollRefused:
			s.srv.refuse(w, r, refused)
			return
		case pollWaits:
			if !p.noopAt.IsZero() {
				tick = time.After(time.Until(p.noopAt))
			}
		}
		select {
		case <-p.wake:
		case <-tick:
		case <-r.Context().Done():
		}
	}
}

var (
	errTwoPolls  = errors.New("a second poll while one is held")
	errPollAgain = errors.New("a poll that was answered came again")
)

// admitPoll makes p the held poll.
func (s *Session) admitPoll(p *poll) *refusal {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadlineLocked(s.srv.clock()) // E-59
	switch {
	case s.phase == phaseClosed, s.phase == phaseClosing && (s.held != nil || s.transport != Polling):
		return refuseUnknownSession
	case s.transport != Polling:
		return refuseBadRequest // E-3
	}
	switch was := note(&s.repeatsLocked().polls, p.mark); { // E-74
	case was == isOlder:
		// The client has the answers to this one and to later ones. Whoever waits
		// here has nobody to hand anything to.
		return refuseBadRequest
	case s.held != nil: // E-26; the held one ends with the close packet
		s.closeLocked(Cause{ReasonTransportError, errTwoPolls}, farewell{packet: closeMessage})
		return refuseBadRequest
	case was == isLatest && s.phase == phaseOpen: // what was in its answer is lost
		s.closeLocked(Cause{ReasonTransportError, errPollAgain}, farewell{})
		return refuseUnknownSession
	case was == isLatest: // its farewell would come out behind the hole
		s.abandonLocked()
		s.phase = phaseClosed
		s.endLocked()
		return refuseUnknownSession
	}
	s.held = p
	return nil
}

// settlePoll decides about a held poll.
func (s *Session) settlePoll(p *poll) (pollOutcome, []*Message, *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadlineLocked(s.srv.clock())
	outcome, batch, refused := s.settleLocked(p, time.Now())
	if outcome != pollWaits {
		s.held = nil
		s.endLocked()
	}
	return outcome, batch, refused
}

func (s *Session) settleLocked(p *poll, now time.Time) (pollOutcome, []*Message, *refusal) {
	switch {
	case s.phase == phaseClosed:
		return pollRefused, nil, refuseUnknownSession
	case s.transport != Polling: // E-44: the upgrade was quicker
		return pollRefused, nil, refuseBadRequest
	case s.phase == phaseClosing && !s.queue.empty() && s.farewell.grace > 0:
		// The stock client handles the close packet before it hands on the events
		// that came in one body with it: they would come out after its next
		// connect. So they go first, and the close packet with the poll after.
		s.armLocked(s.srv.clock(), s.farewell.grace)
		return pollCarries, s.dequeueLocked(nil), nil
	case s.phase == phaseClosing: // E-30, E-31
		s.phase = phaseClosed
		batch := s.dequeueLocked(nil)
		if s.farewell.packet != nil {
			batch = append(batch, s.farewell.packet)
		}
		return pollCarries, batch, nil
	case !s.queue.empty():
		return pollCarries, s.dequeueLocked(nil), nil
	case s.upgrade != upgradeProbed:
		p.noopAt = time.Time{}
		return pollWaits, nil, nil
	case p.noopAt.IsZero():
		p.noopAt = now.Add(noopTick)
		return pollWaits, nil, nil
	case now.Before(p.noopAt):
		return pollWaits, nil, nil
	}
	return pollCarries, []*Message{noopMessage}, nil // E-44, E-46
}

var errPollAborted = errors.New("poll connection closed prematurely")

// pollAborted closes the session of a client that went away from its poll
// (E-28).
func (s *Session) pollAborted(p *poll) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.held = nil
	if s.transport != Polling {
		return // it is on its WebSocket; the poll no longer matters
	}
	s.closeLocked(Cause{ReasonTransportError, errPollAborted}, farewell{})
	s.phase = phaseClosed
	s.endLocked()
}

// carry ends a poll with packets.
func (s *Session) carry(w http.ResponseWriter, r *http.Request, batch []*Message) {
	size, plain := 0, false
	for _, m := range batch {
		size += len(m.polling()) + 1
		plain = plain || m.plain
	}
	body := make([]byte, 0, size)
	for i, m := range batch {
		if i > 0 {
			body = append(body, separator)
		}
		body = append(body, m.polling()...)
	}
	h := w.Header()
	if !plain && h.Get("Content-Encoding") == "" { // E-22
		h.Add("Vary", "Accept-Encoding")
		var name string
		if body, name = compress(body, r); name != "" {
			h.Set("Content-Encoding", name)
		}
	}
	err := s.srv.answer(w, body)

	s.mu.Lock()
	s.wroteLocked(batch)
	s.mu.Unlock()
	if err != nil {
		s.cut(ReasonTransportError, err)
		return
	}
	s.srv.cfg.Observer.Sent(Polling, len(batch), size-1)
}

// answer writes the 200 of a GET, all the way to the connection: an error
// means that the client did not get it.
func (srv *Server) answer(w http.ResponseWriter, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=UTF-8") // E-6, E-20
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	rc := http.NewResponseController(w)
	_ = rc.SetWriteDeadline(time.Now().Add(srv.cfg.WriteTimeout))
	defer func() { _ = rc.SetWriteDeadline(time.Time{}) }()
	if _, err := w.Write(body); err != nil {
		return err
	}
	if err := rc.Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err
	}
	return nil
}
