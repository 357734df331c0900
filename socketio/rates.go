package socketio

import (
	"fmt"
	"math"
	"sync"
	"time"

	"larder/engineio"
)

// A Rate is how much may come in: PerSecond on average, and Burst at once. The
// zero Rate takes a default; math.Inf(1) per second is no limit.
type Rate struct {
	PerSecond float64
	Burst     int
}

// Rates limit what clients send, by token buckets. An event takes one token, and
// so does an ack that nobody asked for; one that was asked for is free. A CONNECT
// takes five, except from the bucket of the user, who is not known yet. S-60
type Rates struct {
	// Socket is for one connection with all its namespaces: 100 a second, 1,000
	// at once. The stock client keeps events while it has no connection and sends
	// them all when it is back, so the burst has to be large.
	Socket Rate

	// User is for all connections of one user, whom [Socket.SetUser] names: 400
	// a second, 4,000 at once.
	User Rate

	// Address is for all connections of one address, see
	// [engineio.Session.Address]: no limit, for there may be a city behind it.
	Address Rate
}

const (
	connectWeight = 5

	// maxRefusals is how many CONNECTs in a row may be refused on one
	// connection: every namespace that it may join, and once more. S-61
	maxRefusals = 16
)

// strikes is how often a connection may be over its limits before it is closed:
// a hundred times, or ten a second for long. S-61
var strikes = Rate{PerSecond: 10, Burst: 100}

// fill checks the rates and sets those that are zero.
func (r *Rates) fill() error {
	for _, d := range []struct {
		name string
		rate *Rate
		def  Rate
	}{
		{"Socket", &r.Socket, Rate{100, 1000}},
		{"User", &r.User, Rate{400, 4000}},
		{"Address", &r.Address, Rate{PerSecond: math.Inf(1)}},
	} {
		if *d.rate == (Rate{}) {
			*d.rate = d.def
		}
		full := float64(d.rate.Burst) / d.rate.PerSecond // seconds until a bucket is full again
		if !(d.rate.PerSecond > 0) || d.rate.Burst < 1 && !d.rate.unlimited() || full > 24*60*60 {
			return fmt.Errorf("socketio: Rates.%s makes no sense: %+v", d.name, *d.rate)
		}
	}
	return nil
}

func (r Rate) unlimited() bool { return math.IsInf(r.PerSecond, 1) }

// A RateError says that a client has sent too much. It matches [ErrRateLimited].
type RateError struct {
	Scope      string        // whose limit it was: "socket", "user" or "address"
	RetryAfter time.Duration // until the same would be let through
}

// Error implements error.
func (e *RateError) Error() string {
	return fmt.Sprintf("%v: %s, for %v", ErrRateLimited, e.Scope, e.RetryAfter.Round(time.Millisecond))
}

// Unwrap returns ErrRateLimited.
func (e *RateError) Unwrap() error { return ErrRateLimited }

// A bucket is a token bucket in one number: when, by the server's clock, it will
// be full again. So an idle connection has its bucket for the price of a pointer,
// and one that is full is the same as none.
type bucket time.Duration

// take takes tokens, or none if there are too few, and then returns how long it
// takes until there are enough.
func (b *bucket) take(now time.Duration, r Rate, tokens int) (wait time.Duration) {
	if r.unlimited() {
		return 0
	}
	token := time.Duration(float64(time.Second) / r.PerSecond)
	full := max(time.Duration(*b), now) + token*time.Duration(min(tokens, r.Burst))
	if wait = full - now - token*time.Duration(r.Burst); wait > 0 {
		return wait
	}
	*b = bucket(full)
	return 0
}

// buckets are those of users, or of addresses. Only the ones that are not full
// are worth keeping: they are swept out whenever their number has doubled, so
// their number is bounded by what came in during the time it takes to fill one.
type buckets struct {
	mu    sync.Mutex
	of    map[string]bucket
	sweep int // at how many to sweep
}

// bucketsKept is how many buckets are not worth a sweep.
const bucketsKept = 256

func (b *buckets) take(whose string, now time.Duration, r Rate, tokens int) time.Duration {
	if whose == "" || r.unlimited() {
		return 0
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.of == nil {
		b.of = make(map[string]bucket)
	}
	one := b.of[whose]
	wait := one.take(now, r, tokens)
	b.of[whose] = one
	if len(b.of) > max(b.sweep, bucketsKept) {
		for name, one := range b.of {
			if time.Duration(one) <= now {
				delete(b.of, name)
			}
		}
		b.sweep = 2 * len(b.of)
	}
	return wait
}

// spend takes tokens from all whom this connection counts for. If one has too
// few the packet is over a limit, and who goes on regardless loses the connection
// (S-61). It is called in the session's receive turn.
func (c *conn) spend(user string, tokens int) error {
	now, rates := c.server.clock(), &c.server.cfg.Rates
	scope, wait := "socket", c.bucket.take(now, rates.Socket, tokens)
	if wait == 0 {
		scope, wait = "user", c.server.users.take(user, now, rates.User, tokens)
	}
	if wait == 0 {
		scope, wait = "address", c.server.addresses.take(c.session.Address(), now, rates.Address, tokens)
	}
	if wait == 0 {
		return nil
	}
	err := &RateError{Scope: scope, RetryAfter: wait}
	c.server.cfg.Observer.RateLimited(scope)
	if c.strikes.take(now, strikes, 1) > 0 {
		c.session.CloseWith(engineio.Cause{Reason: engineio.ReasonRateLimited, Err: err})
	}
	return err
}

// refusal is what a client is told whose CONNECT is over a limit. The data has
// the form that clients of R-22 know.
func (e *RateError) refusal() *Refusal {
	return &Refusal{Message: messageRate, Data: struct {
		Code         string `json:"code"`
		Retry        bool   `json:"retry"`
		RetryAfterMs int64  `json:"retryAfterMs"`
	}{"rate_limited", true, e.Milliseconds()}}
}

// Milliseconds returns RetryAfter as it is told to clients: rounded up, so that
// it is not too early.
func (e *RateError) Milliseconds() int64 {
	return int64((e.RetryAfter + time.Millisecond - 1) / time.Millisecond)
}

// clock is the time that buckets go by.
func (s *Server) clock() time.Duration { return time.Since(s.began) }
