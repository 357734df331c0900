package gateway

import (
	"container/heap"
	"context"
	"encoding/json"
	"sync"
	"time"

	"larder/api"
	"larder/engineio"
	"larder/internal/account"
	"larder/internal/auth"
	"larder/socketio"
)

const (
	// expiryWarning is how long before the end of its token a client is told (P-18).
	expiryWarning = time.Minute
	// expiryGrace is how long after it a client may still show another one.
	expiryGrace = 25 * time.Second
	// expirySleep bounds how late a jump of the clock is seen.
	expirySleep = 30 * time.Second
)

// reasonExpired is what OnDisconnect and the log hear of a client whose token ran out.
const reasonExpired engineio.Reason = "token expired"

// bearer is a live connection, whatever its door.
type bearer interface {
	// warn tells when the token ends.
	warn(expires time.Time)
	// end closes the transport, so that a stock client comes back by itself.
	end(why error, reason engineio.Reason)
}

// ticket is by which right a connection is open.
type ticket struct {
	mu     sync.Mutex // guards the fields below
	actor  account.Actor
	issued time.Time

	// Guarded by the lock of the expiry that it is in.
	holder  bearer
	expires int64 // of the token, in milliseconds
	index   int32 // place in the heap, 0 when it is not there; the heap counts from 1
	warned  bool
}

func newTicket(id auth.Identity) *ticket {
	return &ticket{actor: id.Account.Actor(), issued: id.IssuedAt, expires: id.ExpiresAt.UnixMilli()}
}

func (t *ticket) who() account.Actor {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.actor
}

func (t *ticket) issuedAt() time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.issued
}

// setActor keeps today's rights. Text that is the same stays where it is: the id
// is the socket's user, too, and need not be in memory twice (ADR 0007).
func (t *ticket) setActor(a account.Actor) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if a.ID == t.actor.ID {
		a.ID = t.actor.ID
	}
	t.actor = a
}

// due is when something has to be done about the ticket, in milliseconds.
func (t *ticket) due() int64 {
	if t.warned {
		return t.expires + expiryGrace.Milliseconds()
	}
	return t.expires - expiryWarning.Milliseconds()
}

// expiry knows the tickets of all open connections, the next due first. It has no
// timer and no goroutine for each: one loop, run, serves all.
type expiry struct {
	wake chan struct{}

	mu    sync.Mutex // guards the heap and what is in it
	queue tickets
}

func newExpiry() *expiry { return &expiry{wake: make(chan struct{}, 1)} }

// tickets is a heap by due.
type tickets []*ticket

func (q tickets) Len() int           { return len(q) }
func (q tickets) Less(i, j int) bool { return q[i].due() < q[j].due() }
func (q tickets) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].index, q[j].index = int32(i+1), int32(j+1)
}

// Push implements heap.Interface.
func (q *tickets) Push(x any) {
	t := x.(*ticket) //nolint:forcetypeassert // only add pushes
	*q = append(*q, t)
	t.index = int32(len(*q))
}

// Pop implements heap.Interface.
func (q *tickets) Pop() any {
	old := *q
	last := len(old) - 1
	t := old[last]
	old[last], *q = nil, old[:last]
	t.index = 0
	return t
}

// add watches the ticket of a connection from now on.
func (e *expiry) add(t *ticket, holder bearer) {
	e.mu.Lock()
	defer e.mu.Unlock()
	t.holder = holder
	heap.Push(&e.queue, t)
	e.nudge(t)
}

// remove forgets a ticket at once; it may have been forgotten before.
func (e *expiry) remove(t *ticket) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t.index > 0 {
		heap.Remove(&e.queue, int(t.index-1))
	}
}

// renew puts a fresh token into a ticket, unless its time is over already.
func (e *expiry) renew(t *ticket, id auth.Identity) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t.index == 0 {
		return false
	}
	t.mu.Lock()
	t.issued = id.IssuedAt
	t.mu.Unlock()
	t.expires, t.warned = id.ExpiresAt.UnixMilli(), false
	heap.Fix(&e.queue, int(t.index-1))
	e.nudge(t)
	return true
}

// nudge has run look again when t is the next.
func (e *expiry) nudge(t *ticket) {
	if t.index == 1 {
		select {
		case e.wake <- struct{}{}:
		default:
		}
	}
}

// next takes what is due at now, or says how long there is nothing to do.
func (e *expiry) next(now time.Time) (holder bearer, expires time.Time, last bool, wait time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.queue) == 0 {
		return nil, time.Time{}, false, expirySleep
	}
	t := e.queue[0]
	if ms := t.due() - now.UnixMilli(); ms > 0 {
		return nil, time.Time{}, false, min(expirySleep, time.Duration(ms)*time.Millisecond)
	}
	if last = t.warned; last {
		heap.Pop(&e.queue)
	} else {
		t.warned = true
		heap.Fix(&e.queue, 0)
	}
	return t.holder, time.UnixMilli(t.expires), last, 0
}

// run warns and closes until ctx ends. Nothing it calls waits for a client.
func (e *expiry) run(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-e.wake:
		case <-timer.C:
		}
		for {
			holder, expires, last, wait := e.next(time.Now())
			if holder == nil {
				timer.Reset(wait)
				break
			}
			if last {
				holder.end(auth.ErrTokenExpired, reasonExpired)
			} else {
				holder.warn(expires)
			}
		}
	}
}

// Run sees to the ends of tokens, and to the views of those who are here, until ctx
// ends, and returns nil then.
func (g *Gateway) Run(ctx context.Context) error {
	var views sync.WaitGroup
	views.Go(func() { g.renewViews(ctx, g.back.keep) })
	g.expiry.run(ctx)
	views.Wait()
	return nil
}

// socketBearer is a Socket.IO socket. It is one pointer, so that a bearer costs
// nothing more.
type socketBearer struct{ s *socketio.Socket }

func (b socketBearer) warn(expires time.Time) {
	body, err := json.Marshal(api.AuthExpiring{ExpiresAt: api.At(expires)})
	if err != nil {
		return
	}
	if ev, err := socketio.NewEvent(api.EventAuthExpiring, body); err == nil {
		_ = b.s.Emit(ev) // or it has gone
	}
}

func (b socketBearer) end(_ error, reason engineio.Reason) { b.s.Close(reason) }

// warn implements bearer.
func (c *plainConn) warn(expires time.Time) { warn(c.g, c, expires) }

// warn implements bearer.
func (c *eventStream) warn(expires time.Time) { warn(c.g, c, expires) }

func warn(g *Gateway, c client, expires time.Time) {
	g.tell(c, api.EventAuthExpiring, api.AuthExpiring{ExpiresAt: api.At(expires)})
}
