package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"larder/api"
	"larder/engineio"
	"larder/internal/auth"
	"larder/internal/fanout"
	"larder/internal/feed"
)

// eventStream is one client that reads server-sent events (P-37). The goroutine
// of its request owns it, and is the only one that writes.
type eventStream struct {
	g      *Gateway
	w      http.ResponseWriter
	rc     *http.ResponseController
	cancel context.CancelCauseFunc
	wake   chan struct{} // something is queued, or the end has come
	at     place

	mu      sync.Mutex // guards the fields below
	backlog backlog
	ending  bool
	over    bool // the request is answered: its connection may serve another
	hurried bool // what is not taken soon is not waited for
	reason  engineio.Reason
}

var _ client = (*eventStream)(nil)

// IsEventStream says whether a request wants server-sent events (P-37).
func IsEventStream(r *http.Request) bool {
	return r.Method == http.MethodGet && strings.TrimRight(r.URL.Path, "/") == "/events" &&
		strings.Contains(strings.ToLower(r.Header.Get("Accept")), "text/event-stream")
}

// ServeEventStream answers such a request until one side ends it. An error comes
// before anything was answered, and is the caller's to tell.
func (g *Gateway) ServeEventStream(w http.ResponseWriter, r *http.Request) error {
	want, err := wishOf(r)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(r.Context())
	defer cancel(errClosed)
	c := &eventStream{g: g, w: w, rc: http.NewResponseController(w), cancel: cancel, wake: make(chan struct{}, 1)}
	if err := g.own.admit(c, ""); err != nil {
		return err
	}
	defer g.own.wait.Done()
	defer g.own.forget(c)
	id, err := g.auth.Authenticate(ctx, r.Header.Get("Authorization"))
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // a proxy in front must not wait for more
	w.WriteHeader(http.StatusOK)
	c.serve(ctx, id, want)
	return nil
}

func (c *eventStream) serve(ctx context.Context, id auth.Identity, want wish) {
	c.g.present.enter(c.g.log, id.Account.ID, "events", "http")
	if err := c.g.enter(ctx, c, id, want); err != nil && !errors.Is(err, errClosed) && ctx.Err() == nil {
		c.end(err, engineio.ReasonForcedClose)
	}
	c.write(ctx)
	c.g.expiry.remove(c.at.ticket)
	c.mu.Lock()
	c.endLocked(engineio.ReasonTransportClose)
	c.over = true
	reason := c.reason
	c.mu.Unlock()
	c.g.present.leave(c.g.log, id.Account.ID, "events", string(reason))
}

// write writes what is queued, and a comment when it was quiet for a while, until
// the end.
func (c *eventStream) write(ctx context.Context) {
	quiet := time.NewTimer(plainPing)
	defer quiet.Stop()
	for {
		if c.flush(ctx) != nil {
			return
		}
		c.mu.Lock()
		over := c.ending && c.backlog.bytes == 0
		c.mu.Unlock()
		if over {
			return
		}
		quiet.Reset(plainPing)
		select {
		case <-c.wake:
		case <-ctx.Done():
			return
		case <-quiet.C:
			c.push([]byte(": still here\n\n"))
		}
	}
}

// flushed implements client. It is called by the owner.
func (c *eventStream) flushed(ctx context.Context) error {
	if err := c.flush(ctx); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ending {
		return errClosed
	}
	return nil
}

// flush writes what is queued. When it fails nobody is left to be told.
func (c *eventStream) flush(ctx context.Context) error {
	for {
		c.mu.Lock()
		piece := c.backlog.take()
		var err error
		if len(piece) > 0 && !c.hurried {
			err = c.rc.SetWriteDeadline(time.Now().Add(writeTimeout))
		}
		c.mu.Unlock()
		if len(piece) == 0 {
			return nil
		}
		if err == nil {
			_, err = c.w.Write(piece)
		}
		if err == nil {
			err = c.rc.Flush()
		}
		c.mu.Lock()
		c.backlog.wrote(piece)
		if err != nil && ctx.Err() == nil {
			c.endLocked(writeReason(err))
			c.backlog.drop()
		}
		c.mu.Unlock()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errClosed, err)
		}
	}
}

func (c *eventStream) place() *place { return &c.at }

// tell implements client.
func (c *eventStream) tell(name, position string, data json.RawMessage) {
	c.push(event(name, position, data))
}

// deliver implements client.
func (c *eventStream) deliver(m *fanout.Message, p feed.Passage, shared *forms) {
	if shared.event[p] == nil {
		name, data := m.Data(p)
		if name == "" { // it can't be encoded
			return
		}
		shared.event[p] = event(name, m.Record.Position.String(), data)
	}
	c.push(shared.event[p])
}

// signal implements client.
func (c *eventStream) signal(s *fanout.Signal) {
	c.mu.Lock()
	idle := c.backlog.bytes == 0
	c.mu.Unlock()
	if idle {
		c.push(event(s.Name, "", s.Data))
	}
}

// event is one server-sent event; the data is JSON without line breaks.
func event(name, position string, data json.RawMessage) []byte {
	b := make([]byte, 0, len(name)+len(position)+len(data)+32)
	if position != "" {
		b = append(append(append(b, "id: "...), position...), '\n')
	}
	b = append(append(append(b, "event: "...), name...), '\n')
	b = append(append(append(b, "data: "...), data...), "\n\n"...)
	return b
}

// push queues and never waits for the client. One that does not keep up is cut: it
// comes back and resumes.
func (c *eventStream) push(frame []byte) {
	c.mu.Lock()
	if c.ending {
		c.mu.Unlock()
		return
	}
	slow := !c.backlog.add(frame)
	if slow {
		c.endLocked(engineio.ReasonSlow)
		c.backlog.drop()
	}
	c.mu.Unlock()
	if slow {
		c.g.log.Info("client is too slow", "user_id", c.at.accountID, "door", "events")
		c.cut()
		return
	}
	c.nudge()
}

// nudge wakes the owner.
func (c *eventStream) nudge() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// endLocked lets nothing more in. The first reason counts.
func (c *eventStream) endLocked(reason engineio.Reason) {
	c.ending = true
	if c.reason == "" {
		c.reason = reason
	}
}

// finish lets what is queued go out and ends the stream.
func (c *eventStream) finish(reason engineio.Reason) {
	c.mu.Lock()
	c.endLocked(reason)
	c.mu.Unlock()
	c.nudge()
}

// end implements bearer and client.
func (c *eventStream) end(why error, reason engineio.Reason) {
	word := event(api.EventException, "", c.g.refusal(why))
	c.mu.Lock()
	if !c.ending {
		c.endLocked(reason)
		c.backlog.drop() // it is no longer for this client
		c.backlog.force(word)
		c.hurryLocked()
	}
	c.mu.Unlock()
	c.nudge()
}

func (c *eventStream) goAway() { c.finish(engineio.ReasonShutdown) }

func (c *eventStream) hurry() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.hurryLocked()
}

func (c *eventStream) hurryLocked() {
	if !c.over {
		c.hurried = true
		_ = c.rc.SetWriteDeadline(time.Now().Add(lingerTime))
	}
}

func (c *eventStream) cut() {
	c.cancel(errClosed)
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		_ = c.rc.SetWriteDeadline(time.Now())
	}
}
