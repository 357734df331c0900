package main

import (
	"slices"
	"sync"
	"time"
)

// A tally keeps the latency of every event, so that percentiles are exact.
type tally struct {
	mu        sync.Mutex
	latencies []time.Duration
	expected  int
	done      chan struct{} // closed when all that is expected is there
}

func (t *tally) start(expected int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.latencies = make([]time.Duration, 0, expected)
	t.expected = expected
	t.done = make(chan struct{})
}

func (t *tally) add(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.latencies = append(t.latencies, d)
	if len(t.latencies) == t.expected {
		close(t.done)
	}
}

// wait waits until all is there, or until nothing has come for so long.
func (t *tally) wait(quiet time.Duration) {
	t.mu.Lock()
	done := t.done
	t.mu.Unlock()
	for before := -1; ; {
		select {
		case <-done:
			return
		case <-time.After(quiet):
		}
		t.mu.Lock()
		now := len(t.latencies)
		t.mu.Unlock()
		if now == before {
			return
		}
		before = now
	}
}

// result tells how many events came, and their latency in milliseconds.
func (t *tally) result() map[string]float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	sorted := slices.Sorted(slices.Values(t.latencies))
	return map[string]float64{
		"delivered": float64(len(sorted)),
		"p50":       milliseconds(quantile(sorted, 0.50)),
		"p99":       milliseconds(quantile(sorted, 0.99)),
		"max":       milliseconds(quantile(sorted, 1)),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// quantile is the smallest of the sorted values that q of them do not exceed.
func quantile(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	i := int(q*float64(len(sorted))+0.999999) - 1
	return sorted[min(max(i, 0), len(sorted)-1)]
}
