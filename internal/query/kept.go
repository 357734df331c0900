package query

import (
	"context"
	"sync"
	"time"
)

// kept holds the last answer to questions that anybody may ask, as often as he
// likes, and that cost more the larger the board is. Of those who ask the same at
// once, one reads the database. It is safe for concurrent use; the keys have to be
// few.
type kept[K comparable, T any] struct {
	mu      sync.Mutex
	answers map[K]*keptAnswer[T]
}

// keptAnswer belongs to whoever has put something in turn.
type keptAnswer[T any] struct {
	turn  chan struct{}
	value T
	until time.Time
}

// get returns the kept answer, or that of ask, which says how long it may be given
// again. What is returned is shared: nobody may change it.
func (k *kept[K, T]) get(ctx context.Context, key K, ask func() (value T, life time.Duration, err error)) (value T, err error) {
	a := k.of(key)
	select {
	case a.turn <- struct{}{}:
		defer func() { <-a.turn }()
	case <-ctx.Done():
		return value, context.Cause(ctx)
	}
	asked := time.Now()
	if asked.Before(a.until) {
		return a.value, nil
	}
	value, life, err := ask()
	if err == nil {
		a.value, a.until = value, asked.Add(life)
	}
	return value, err
}

func (k *kept[K, T]) of(key K) *keptAnswer[T] {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.answers == nil {
		k.answers = map[K]*keptAnswer[T]{}
	}
	if k.answers[key] == nil {
		k.answers[key] = &keptAnswer[T]{turn: make(chan struct{}, 1)}
	}
	return k.answers[key]
}

// mostKept bounds how old a kept answer gets.
const mostKept = time.Minute

// lifeOf is how long an answer is kept that took n things to add up: a second for
// each 50,000 of them, so that those who ask take a twentieth of a processor at most,
// and what a small board is told is never old.
func lifeOf(n int64) time.Duration {
	return min(time.Duration(n/50_000)*time.Second, mostKept)
}
