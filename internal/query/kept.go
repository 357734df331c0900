package query

import (
	"context"
	"errors"
	"sync"
	"time"
)

// kept holds the last answer to questions that anybody may ask, as often as he
// likes, and that cost more the larger the board is. Of those who ask the same at
// once, one reads the database. It is safe for concurrent use; the keys have to be
// few.
type kept[K comparable, T any] struct {
	mu      sync.Mutex // guards all below; nobody asks while he holds it
	answers map[K]*keptAnswer[T]
}

type keptAnswer[T any] struct {
	value  T
	until  time.Time
	flight *flight[T] // nil: nobody asks now
}

// flight is a question on its way. Its value and err are there when done is closed.
type flight[T any] struct {
	done  chan struct{}
	value T
	err   error
}

// get returns the kept answer, or that of ask, which says how long it may be given
// again. No answer is older than that, or than the call. Who waits for another's
// question fails with it, so that a store that has stalled holds nobody up twice.
// What is returned is shared: nobody may change it.
func (k *kept[K, T]) get(ctx context.Context, key K, ask func() (value T, life time.Duration, err error)) (value T, err error) {
	for own := false; ; own = true { // that of another may have begun before the call
		f, value, found := k.look(key)
		switch {
		case found:
			return value, nil
		case f == nil:
			return k.ask(key, ask)
		}
		select {
		case <-f.done:
		case <-ctx.Done():
			return value, context.Cause(ctx)
		}
		left := errors.Is(f.err, context.Canceled) // whoever asked: his failure is no news
		if f.err != nil && !left || f.err == nil && own {
			return f.value, f.err
		}
	}
}

// look returns the kept answer, or whose question to wait for. If there is neither
// the caller has to ask: others wait for him from now on.
func (k *kept[K, T]) look(key K) (f *flight[T], value T, found bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	a := k.answers[key]
	if a == nil {
		a = &keptAnswer[T]{}
		if k.answers == nil {
			k.answers = map[K]*keptAnswer[T]{}
		}
		k.answers[key] = a
	}
	if time.Now().Before(a.until) {
		return nil, a.value, true
	}
	if f = a.flight; f == nil {
		a.flight = &flight[T]{done: make(chan struct{})}
	}
	return f, value, false
}

// errNotAsked is what others hear when asking ended with a panic.
var errNotAsked = errors.New("query: a question was not answered")

// ask answers the question that look has left to the caller, for all who wait.
func (k *kept[K, T]) ask(key K, ask func() (T, time.Duration, error)) (value T, err error) {
	asked := time.Now()
	var life time.Duration
	err = errNotAsked
	defer func() {
		k.mu.Lock()
		defer k.mu.Unlock()
		a := k.answers[key]
		a.flight.value, a.flight.err = value, err
		close(a.flight.done)
		a.flight = nil
		if err == nil {
			a.value, a.until = value, asked.Add(life)
		}
	}()
	value, life, err = ask()
	return value, err
}

// mostKept bounds how old a kept answer gets.
const mostKept = time.Minute

// lifeOf is how long an answer is kept that took n things to add up: a second for
// each 50,000 of them, so that those who ask take a twentieth of a processor at most,
// and what a small board is told is never old.
func lifeOf(n int64) time.Duration {
	return min(time.Duration(n/50_000)*time.Second, mostKept)
}
