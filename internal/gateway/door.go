package gateway

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"larder/api"
	"larder/engineio"
	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/fanout"
	"larder/internal/feed"
	"larder/internal/query"
)

// client is a client of our own doors: a plain WebSocket or an event stream.
type client interface {
	// place is where it is in the stream.
	place() *place
	// tell queues something for this client alone; position may be empty.
	tell(name, position string, data json.RawMessage)
	// deliver queues a message by a passage. forms are shared by all who get it.
	deliver(m *fanout.Message, p feed.Passage, forms *forms)
	// signal is tell for what the client wants now or not at all.
	signal(s *fanout.Signal)
	// flushed waits until what is queued has been written.
	flushed(ctx context.Context) error
	bearer // end tells why in place of what waits, and closes
	// goAway closes because the server stops, hurry bounds what is still being
	// written, cut does not wait for it.
	goAway()
	hurry()
	cut()
}

// place is who a client is, set once by enroll, and where it is in the stream, set by
// the goroutine that serves it, inside fanout.Enter, while it is not live.
type place struct {
	accountID string       // empty: it has not shown who it is
	role      account.Role // it is expelled when that changes
	ticket    *ticket
	view      feed.View
	after     int64 // live records up to here were told already
}

// passage is how the client is told of a message.
func (p *place) passage(m *fanout.Message) feed.Passage {
	return m.For(p.accountID, string(p.role), p.view)
}

// viewer is through whose eyes the client reads the log.
func (p *place) viewer() query.Viewer {
	return query.Viewer{AccountID: p.accountID, Role: p.role, View: p.view}
}

// forms are the bytes of one message for each passage, made when first needed.
type forms struct{ frame, event [feed.Leaves + 1][]byte }

// door keeps the clients of our own doors.
type door struct {
	g    *Gateway
	wait sync.WaitGroup

	mu      sync.Mutex // guards the fields below
	closed  bool
	strange map[string]int      // connections that have shown no token yet, of an address
	all     map[client]struct{} // every open connection
	live    map[client]struct{} // those in the stream
}

func (d *door) init(g *Gateway) {
	d.g, d.strange, d.all, d.live = g, map[string]int{}, map[client]struct{}{}, map[client]struct{}{}
}

// admit takes a client in, or says why not. Whoever is admitted is counted in
// wait. A stranger, who has shown no token, gives his address, and counts as one
// there until known is called; it is empty for all others.
func (d *door) admit(c client, stranger string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed || d.g.draining.Load() {
		return errDraining
	}
	if stranger != "" {
		if d.strange[stranger] >= maxStrangers {
			return api.NewError(http.StatusTooManyRequests, api.CodeRateLimited, "Too many connections without a token")
		}
		d.strange[stranger]++
	}
	d.all[c] = struct{}{}
	d.wait.Add(1)
	return nil
}

// known ends the counting of a stranger.
func (d *door) known(stranger string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.strange[stranger]--; d.strange[stranger] <= 0 {
		delete(d.strange, stranger)
	}
}

// enroll notes who a client is. From then on what happens to the account reaches it,
// live or not.
func (d *door) enroll(c client, id auth.Identity, view feed.View) {
	d.mu.Lock()
	defer d.mu.Unlock()
	*c.place() = place{accountID: id.Account.ID, role: id.Account.Role, ticket: newTicket(id), view: view}
}

// of are the clients of an account.
func (d *door) of(accountID string) []client {
	return d.clients(d.all, func(c client) bool { return c.place().accountID == accountID })
}

func (d *door) join(c client) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if _, open := d.all[c]; open {
		d.live[c] = struct{}{}
	}
}

func (d *door) pause(c client) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.live, c)
}

func (d *door) forget(c client) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.all, c)
	delete(d.live, c)
}

// clients are those of a set for which want says yes.
func (d *door) clients(set map[client]struct{}, want func(client) bool) []client {
	d.mu.Lock()
	defer d.mu.Unlock()
	var list []client
	for c := range set {
		if want == nil || want(c) {
			list = append(list, c)
		}
	}
	return list
}

func (d *door) deliver(m *fanout.Message) {
	var shared forms
	for _, c := range d.clients(d.live, func(c client) bool { return m.Record.Position.Seq > c.place().after }) {
		if p := c.place().passage(m); p != feed.Outside {
			c.deliver(m, p, &shared)
		}
	}
}

func (d *door) signal(s *fanout.Signal) {
	for _, c := range d.clients(d.live, func(c client) bool { return slices.Contains(s.Accounts, c.place().accountID) }) {
		c.signal(s)
	}
}

func (d *door) expel(accountID string, why error, reason engineio.Reason) {
	for _, c := range d.of(accountID) {
		c.end(why, reason)
	}
}

// drain tells those in the stream, and closes all connections in turns.
func (d *door) drain(ctx context.Context, over time.Duration) error {
	list := d.clients(d.all, nil)
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	turns := engineio.Turns(len(list), over)
	for i, c := range list {
		if d.inStream(c) {
			d.g.tell(c, api.EventServerDraining, farewell(turns[i]))
		}
	}
	return engineio.AtTurns(ctx, turns, func(i int) bool {
		list[i].goAway()
		return d.any()
	})
}

func (d *door) inStream(c client) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	_, live := d.live[c]
	return live
}

func (d *door) any() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.all) > 0
}

// shutdown closes all connections and waits for their goroutines. When ctx ends
// first they are cut, which is an error.
func (d *door) shutdown(ctx context.Context) error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	for _, c := range d.clients(d.all, nil) {
		c.goAway()
		c.hurry()
	}
	done := make(chan struct{})
	go func() {
		d.wait.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	for _, c := range d.clients(d.all, nil) {
		c.cut()
	}
	<-done
	return fmt.Errorf("live clients: %w", context.Cause(ctx))
}

// tell sends one client something that is its own.
func (g *Gateway) tell(c client, name string, payload any) { g.tellAt(c, "", name, payload) }

// tellAt is tell for what tells the client its place in the stream.
func (g *Gateway) tellAt(c client, position, name string, payload any) {
	data, err := json.Marshal(payload)
	if err != nil {
		g.log.Error("event can't be encoded", "event", name, "err", err)
		return
	}
	c.tell(name, position, data)
}
