package client

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"larder/api"
)

const (
	firstBackoff   = 100 * time.Millisecond
	longestBackoff = 5 * time.Second
	resumeTimeout  = 15 * time.Second // of one page
)

// WatchOptions says where a Watch begins and who hears of its connection.
type WatchOptions struct {
	// After is the position up to which the caller has seen everything. Empty:
	// the Watch begins with what happens from now on.
	After string

	// OnState, if set, is told how the connection is, between two events and on
	// the goroutine of the Watch.
	OnState func(State)
}

// StateKind says what has become of the connection of a Watch.
type StateKind int

// The states.
const (
	// StateConnected: feed.ready has come, with Position and User. What was
	// missed, if anything, follows.
	StateConnected StateKind = iota + 1

	// StateResumed: nothing is missing any more; Missed events that happened
	// while there was no connection were yielded.
	StateResumed

	// StateLost: there is no connection, because of Err. The next try comes
	// after RetryIn.
	StateLost
)

// State is how the connection of a Watch is.
type State struct {
	Kind     StateKind
	Position string
	User     api.FeedUser
	Missed   int
	Err      error
	RetryIn  time.Duration
}

// Watch yields what is committed, each event once and in order of position, and
// between them the signals that have no position. It ends when ctx does or with
// the one error that trying again can't mend: an *api.Error of a server that
// does not let the client in.
//
// On any other trouble it reconnects, after 0.1 to 5 seconds or when a draining
// server asks, and reads from the log what happened meanwhile. If the log can't
// tell, it yields an Event with Gap. A caller that is slow to take events gets
// them from the log too, and loses signals.
//
// To go on after a restart, keep the Position of the last event and give it as
// After.
func (c *Client) Watch(ctx context.Context, opt WatchOptions) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		w := watcher{client: c, state: opt.OnState, last: opt.After, yield: yield}
		if w.state == nil {
			w.state = func(State) {}
		}
		if err := w.run(ctx); err != nil {
			yield(Event{}, err)
		}
	}
}

// watcher is one run of a Watch.
type watcher struct {
	client *Client
	state  func(State)
	yield  func(Event, error) bool
	last   string // everything up to here was yielded
}

// errStopped is the end of a Watch by its caller's break.
var errStopped = errors.New("stopped")

// run connects again and again. It returns nil when the caller or ctx ended it.
func (w *watcher) run(ctx context.Context) error {
	backoff := firstBackoff
	for {
		lived, pause, err := w.session(ctx)
		if ctx.Err() != nil || errors.Is(err, errStopped) {
			return nil
		}
		if r, ok := errors.AsType[*refused](err); ok {
			if !r.retry {
				return err
			}
			pause = max(pause, r.after)
		}
		if lived > longestBackoff { // it was a good connection, not one more failure
			backoff = firstBackoff
		}
		wait := max(jitter(backoff), spread(pause))
		backoff = min(backoff*2, longestBackoff)
		w.state(State{Kind: StateLost, Position: w.last, Err: err, RetryIn: wait})
		w.client.log.DebugContext(ctx, "live connection lost", "err", err, "retry_in", wait)
		if sleep(ctx, wait) != nil {
			return nil
		}
	}
}

// spread lengthens a pause that a server asked for by up to a quarter: it asked
// many.
func spread(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return d + rand.N(d/4+1)
}

// session is one connection, from dialling to its end. It returns how long the
// connection was good, how long the server wants to be left alone, and why it
// ended.
func (w *watcher) session(ctx context.Context) (lived, pause time.Duration, err error) {
	conn, err := w.client.Connect(ctx)
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	err = w.follow(ctx, conn)
	lived, pause = time.Since(start), conn.returnIn()
	_ = conn.Close() // it is broken, or over
	return lived, pause, err
}

// follow yields what comes from a connection until it ends. Live events wait in
// the connection's queue while the log is read.
func (w *watcher) follow(ctx context.Context, conn *Conn) error {
	ready := conn.Ready()
	w.state(State{Kind: StateConnected, Position: ready.Position, User: ready.User})
	if w.last == "" {
		w.last = ready.Position
	} else if err := w.resume(ctx, conn); err != nil {
		return err
	}
	for {
		ev, err := conn.Next(ctx)
		switch {
		case errors.Is(err, ErrBehind):
			_, err = w.catchUp(ctx, conn)
		case err == nil && ev.Position == "":
			err = w.emit(ev)
		case err == nil:
			_, err = w.deliver(ev)
		}
		if err != nil {
			return err
		}
	}
}

// resume catches up on a fresh connection and says so.
func (w *watcher) resume(ctx context.Context, conn *Conn) error {
	missed, gap := 0, false
	var err error
	// A connection that begins where the last one ended missed nothing.
	if ready := conn.Ready().Position; w.last != ready {
		from := w.last
		if missed, err = w.catchUp(ctx, conn); err != nil {
			return err
		}
		if gap = missed < 0; !gap {
			// Between the last page and the first live event nothing may lie.
			if newer, err := follows(ready, w.last); err != nil || newer {
				return fmt.Errorf("feed.resume from %s ended at %s, before feed.ready at %s", from, w.last, ready)
			}
		}
	}
	if !gap {
		w.state(State{Kind: StateResumed, Position: w.last, Missed: missed})
	}
	return nil
}

// catchUp reads the log from the last position to its head (P-22) and returns how
// many events that were, or -1 when the log could not tell and a gap was yielded.
func (w *watcher) catchUp(ctx context.Context, conn *Conn) (missed int, err error) {
	for {
		page, err := w.page(ctx, conn)
		if err != nil {
			return missed, err
		}
		if !page.Recovered {
			w.last = page.Position
			return -1, w.emit(Event{Position: page.Position, Gap: page.Reason})
		}
		from := w.last
		for _, e := range page.Events {
			fresh, err := w.deliver(Event{Position: e.Position, Name: e.Event, Data: e.Data})
			if err != nil {
				return missed, err
			}
			if fresh {
				missed++
			}
		}
		// The page may end with records that this account may not see.
		if newer, err := follows(page.Position, w.last); err != nil {
			return missed, err
		} else if newer {
			w.last = page.Position
		}
		if !page.More {
			return missed, nil
		}
		if w.last == from {
			return missed, fmt.Errorf("feed.resume at %s says that there is more and does not give it", from)
		}
	}
}

var errResumeTimeout = fmt.Errorf("no answer within %s", resumeTimeout)

func (w *watcher) page(ctx context.Context, conn *Conn) (page api.FeedResumed, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, resumeTimeout, errResumeTimeout)
	defer cancel()
	err = conn.Call(ctx, api.EventFeedResume, api.FeedResume{After: w.last}, &page)
	if err == nil && page.Position == "" {
		err = errors.New("feed.resume: the answer has no position")
	}
	if !page.Recovered && page.Reason == "" {
		page.Reason = "unknown"
	}
	return page, err
}

// deliver yields a committed event unless it was yielded before, and says whether
// it did. An error, other than of the caller's break, is a server that changed its
// epoch under a connection: the next one will tell more.
func (w *watcher) deliver(ev Event) (fresh bool, err error) {
	if fresh, err = follows(ev.Position, w.last); err != nil || !fresh {
		return false, err
	}
	w.last = ev.Position
	return true, w.emit(ev)
}

func (w *watcher) emit(ev Event) error {
	if !w.yield(ev, nil) {
		return errStopped
	}
	return nil
}

// follows says whether position a comes after b in the same life of the log.
func follows(a, b string) (bool, error) {
	epochA, seqA, err := splitPosition(a)
	if err != nil {
		return false, err
	}
	epochB, seqB, err := splitPosition(b)
	if err != nil {
		return false, err
	}
	if epochA != epochB {
		return false, fmt.Errorf("position %s is of another epoch than %s", a, b)
	}
	return seqA > seqB, nil
}

func splitPosition(p string) (epoch string, seq uint64, err error) {
	i := strings.LastIndexByte(p, '-')
	if i >= 0 {
		digits := strings.TrimRight(p[i+1:], "abcdefghijklmnopqrstuvwxyz") // the check letter
		if seq, err = strconv.ParseUint(digits, 10, 64); err == nil {
			return p[:i], seq, nil
		}
	}
	return "", 0, fmt.Errorf("%.60q is no position", p)
}
