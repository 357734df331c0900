package auth

import (
	"sync"
	"time"
)

// Limit allows each key, an account or an address, so many times within a window.
type Limit struct {
	times  int
	window time.Duration

	mu   sync.Mutex // guards seen
	seen map[string][]time.Time
}

// NewLimit returns a Limit that has seen nobody yet.
func NewLimit(times int, window time.Duration) *Limit {
	return &Limit{times: times, window: window, seen: map[string][]time.Time{}}
}

// Allow counts one time for key and returns nil, or returns a *RateError that says
// when to come back.
func (l *Limit) Allow(key string, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	sweep(l.seen, l.window, now)
	seen := recent(l.seen[key], l.window, now)
	if len(seen) >= l.times {
		return &RateError{RetryAfter: seen[0].Add(l.window).Sub(now)}
	}
	l.seen[key] = append(seen, now)
	return nil
}
