package engineio

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// bodyBuffers holds the buffers that POST bodies are read into.
var bodyBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

var (
	errTwoPosts   = errors.New("a second POST while one is being read")
	errBinaryBody = errors.New("binary POST body")
	errBodyText   = errors.New("POST body is not UTF-8")
)

// post is a POST that is being read or handed on.
type post struct {
	mu    sync.Mutex // guards w, for whoever answers
	w     http.ResponseWriter
	http1 bool // the next request on its connection waits for the handler
	ended bool // it is answered, or is not to be
}

// answer ends the POST with 200, once (E-23). It may be called early, while the
// handler is still busy with the packets: then its connection serves no other request,
// least of all the poll that the handler waits for.
func (p *post) answer(early bool, timeout time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ended {
		return
	}
	p.ended = true
	h := p.w.Header()
	if early && p.http1 {
		h.Set("Connection", "close")
	}
	h.Set("Content-Type", "text/html")
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Length", "2")
	rc := http.NewResponseController(p.w)
	_ = rc.SetWriteDeadline(time.Now().Add(timeout))
	_, _ = io.WriteString(p.w, "ok")
	_ = rc.Flush() // an error: nobody is there any more
}

// end reports whether the POST is still to be answered. From then on the handler
// alone uses its connection.
func (p *post) end() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	ended := p.ended
	p.ended = true
	return !ended
}

// servePost takes the packets of a client that polls (E-23).
func (s *Session) servePost(w http.ResponseWriter, r *http.Request) {
	p := &post{w: w, http1: r.ProtoMajor == 1}
	mark := markOf(r.URL.Query().Get("t"))
	again, refused := s.admitPost(p, mark)
	switch {
	case refused != nil:
		s.srv.refuse(w, r, refused)
		return
	case again: // its packets were handed on (E-75)
		p.answer(false, s.srv.cfg.WriteTimeout)
		return
	}
	refused = s.takePost(w, r)
	// Before the answer, for the client's next POST may follow it at once.
	s.postEnded(p)
	if refused != nil {
		s.forgetPost(mark)
	}
	switch {
	case refused == nil:
		p.answer(false, s.srv.cfg.WriteTimeout)
	case p.end():
		s.srv.refuse(w, r, refused)
	}
}

// admitPost lets one POST in at a time, and tells one that has come already.
func (s *Session) admitPost(p *post, mark uint64) (again bool, refused *refusal) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadlineLocked(s.srv.clock()) // E-59
	switch {
	case s.phase != phaseOpen:
		return false, refuseUnknownSession
	case s.transport != Polling:
		return false, refuseBadRequest // E-3, E-45
	case s.posting != nil: // E-27
		s.closeLocked(Cause{ReasonTransportError, errTwoPosts}, farewell{packet: closeMessage})
		return false, refuseBadRequest
	case note(&s.repeatsLocked().posts, mark) != isNew:
		return true, nil
	}
	s.posting = p
	return false, nil
}

func (s *Session) postEnded(p *post) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.posting == p {
		s.posting = nil
	}
}

// takePost reads the body and hands its packets on.
func (s *Session) takePost(w http.ResponseWriter, r *http.Request) *refusal {
	kind, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	if strings.EqualFold(strings.TrimSpace(kind), "application/octet-stream") { // E-25
		s.fail(ReasonTransportError, errBinaryBody)
		return refuseBadRequest
	}
	if r.ContentLength > int64(s.srv.cfg.MaxPayload) { // E-24
		s.srv.tooLarge()
		return refuseTooLarge
	}
	body := bodyBuffers.Get().(*bytes.Buffer)
	defer func() {
		if body.Cap() <= pooledLimit {
			body.Reset()
			bodyBuffers.Put(body)
		}
	}()
	if refused := s.readBody(body, w, r); refused != nil {
		return refused
	}
	if !s.beginReceive(Polling) {
		if s.isOpen() {
			return refuseBadRequest // E-44: the upgrade was quicker
		}
		return refuseUnknownSession
	}
	defer s.endReceive()
	s.srv.cfg.Observer.Received(Polling, 1+bytes.Count(body.Bytes(), []byte{separator}), body.Len())
	return s.receivePayload(body.Bytes())
}

// readBody reads the body, bounded in size and time (E-12, E-24).
func (s *Session) readBody(dst *bytes.Buffer, w http.ResponseWriter, r *http.Request) *refusal {
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(s.srv.cfg.ReadTimeout))
	_, err := dst.ReadFrom(http.MaxBytesReader(w, r.Body, int64(s.srv.cfg.MaxPayload)))
	if err == nil {
		_ = rc.SetReadDeadline(time.Time{})
		return nil
	}
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		s.srv.tooLarge()
		return refuseTooLarge // the session lives on, as with the reference
	}
	s.fail(ReasonTransportError, fmt.Errorf("%w: %w", errPollAborted, err)) // E-28
	return refuseBadRequest
}

// receivePayload hands on the packets in their order, up to the first bad one
// (E-29). It stops when one of them has closed the session.
func (s *Session) receivePayload(body []byte) *refusal {
	if !utf8.Valid(body) {
		s.fail(ReasonParseError, errBodyText)
		return refuseBadRequest
	}
	for p, err := range ParsePayload(body) {
		if !s.isOpen() {
			return nil
		}
		if err != nil {
			s.fail(ReasonParseError, err)
			return refuseBadRequest
		}
		if s.receive(p) != nil {
			return refuseBadRequest
		}
	}
	return nil
}
