package faults

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// way is a direction of a link.
type way int

const (
	down way = iota // from the server to the client
	up
)

// link is one forwarded connection.
type link struct {
	client, server net.Conn
	done           chan struct{} // closed when it is over

	mu      sync.Mutex // guards the fields below
	over    bool
	deaf    bool         // half-open: what is read is thrown away
	mourn   *time.Timer  // ends a half-open link
	stalled [2]time.Time // until when a direction is not read
	slow    time.Time    // until when pieces are held
	by      time.Duration
}

// suffer starts a fault.
func (l *link) suffer(f Fault) {
	switch f.Kind {
	case Reset:
		l.reset()
		return
	case Finish:
		l.finish()
		return
	case Delay, HalfOpen, StallDown, StallUp:
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	until := time.Now().Add(f.For)
	switch f.Kind {
	case Delay:
		l.slow, l.by = until, f.By
	case StallDown:
		l.stalled[down] = until
	case StallUp:
		l.stalled[up] = until
	case HalfOpen:
		if !l.over && !l.deaf {
			l.deaf = true
			l.mourn = time.AfterFunc(f.For, l.reset)
		}
	case Reset, Finish:
	}
}

// pump copies one direction until it ends. An end that is heard is passed on, but
// not by a half-open link.
func (l *link) pump(dst, src net.Conn, w way) {
	buf := make([]byte, pieceBytes)
	for {
		if !l.hold(w, false) {
			return
		}
		n, err := src.Read(buf)
		// A stall that began while Read waited holds what came.
		if n > 0 {
			if !l.hold(w, true) {
				return
			}
			if l.isDeaf() {
				continue
			}
			if _, werr := dst.Write(buf[:n]); werr != nil {
				err = werr
			}
		}
		switch {
		case err == nil:
		case l.isDeaf():
			<-l.done
			return
		case errors.Is(err, io.EOF):
			closeWrite(dst)
			return
		default:
			l.reset()
			return
		}
	}
}

// hold waits while a direction is stalled and, before a piece is passed on, for
// its delay. It returns false when the link is over.
func (l *link) hold(w way, piece bool) bool {
	for {
		l.mu.Lock()
		now := time.Now()
		wait, over := l.stalled[w].Sub(now), l.over
		if piece && l.slow.After(now) {
			wait = max(wait, l.by)
		}
		l.mu.Unlock()
		if over {
			return false
		}
		if wait <= 0 {
			return true
		}
		t := time.NewTimer(wait)
		select {
		case <-t.C:
		case <-l.done:
			t.Stop()
			return false
		}
		piece = false // it was held
	}
}

func (l *link) isDeaf() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.deaf
}

// finish closes both sides with FIN.
func (l *link) finish() {
	if l.begone() {
		_ = l.client.Close()
		_ = l.server.Close()
	}
}

// reset cuts both sides with RST.
func (l *link) reset() {
	if l.begone() {
		cut(l.client)
		cut(l.server)
	}
}

// begone marks the link as over, and says whether it was not before.
func (l *link) begone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.over {
		return false
	}
	l.over = true
	close(l.done)
	if l.mourn != nil {
		l.mourn.Stop()
	}
	return true
}

// cut closes a connection with RST.
func cut(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0)
	}
	_ = c.Close()
}

func closeWrite(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.CloseWrite()
	}
}
