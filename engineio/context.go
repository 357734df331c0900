package engineio

import (
	"context"
	"sync/atomic"
	"time"
)

// detached is the parent of the contexts of sessions. The context of the
// opening request ends with it, and is not kept for its values: they would hold
// on to what net/http and its middlewares know of a request that is long over.
type detached struct{}

var _ context.Context = detached{}

func (detached) Deadline() (time.Time, bool) { return time.Time{}, false }
func (detached) Done() <-chan struct{}       { return nil }
func (detached) Err() error                  { return nil }
func (detached) Value(any) any               { return nil }

// A Lifetime is the context of something that lives long and is one of many,
// such as a [Session]. Nearly nobody waits for the end of any one of them, so
// what a context takes (some 200 bytes) is made when it is first needed: when
// something waits, or a context is derived. The zero Lifetime has begun. Its
// methods may be called from any goroutine.
type Lifetime struct {
	made  atomic.Pointer[madeContext]
	cause atomic.Pointer[Cause] // why it has ended; nil: it has not
}

type madeContext struct {
	context.Context
	cancel context.CancelCauseFunc
}

var _ context.Context = (*Lifetime)(nil)

// End ends the context with that cause. Only the first call counts.
func (l *Lifetime) End(c Cause) {
	if l.cause.CompareAndSwap(nil, &c) {
		if m := l.made.Load(); m != nil {
			m.cancel(c)
		}
	}
}

// Ended returns the cause with which it has ended, if it has.
func (l *Lifetime) Ended() (Cause, bool) {
	if c := l.cause.Load(); c != nil {
		return *c, true
	}
	return Cause{}, false
}

// Deadline implements [context.Context]: there is none.
func (l *Lifetime) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements [context.Context].
func (l *Lifetime) Done() <-chan struct{} { return l.context().Done() }

// Err implements [context.Context].
func (l *Lifetime) Err() error {
	if l.cause.Load() == nil {
		return nil
	}
	return l.context().Err()
}

// Value implements [context.Context]. It has no values of its own; package
// context finds by it what it needs for Cause and for derived contexts.
func (l *Lifetime) Value(key any) any { return l.context().Value(key) }

// context returns what the Lifetime stands for.
func (l *Lifetime) context() *madeContext {
	m := l.made.Load()
	if m == nil {
		ctx, cancel := context.WithCancelCause(detached{})
		if m = (&madeContext{ctx, cancel}); !l.made.CompareAndSwap(nil, m) {
			m = l.made.Load()
		}
	}
	if c := l.cause.Load(); c != nil { // End may not have seen it
		m.cancel(*c)
	}
	return m
}
