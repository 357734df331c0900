package gateway

import (
	"context"
	"time"

	"larder/internal/eventlog"
	"larder/internal/fanout"
	"larder/internal/query"
)

// Trips are the locations that a gateway keeps, with a look-up that takes its time.
type Trips struct{ trips }

// Share looks the carrier of a donation up, lets something happen meanwhile, and
// notes a location. It reports whether the location would be passed on.
func (t *Trips) Share(donationID, follower string, at time.Time, meanwhile func()) bool {
	l := t.look(donationID)
	defer t.looked(l)
	meanwhile()
	return t.note(l, &trip{carrier: "carrier", followers: []string{follower}, at: at, signal: &fanout.Signal{}})
}

// End is what a record of a donation does.
func (t *Trips) End(donationID string) {
	t.end(eventlog.Record{Draft: eventlog.Draft{Subject: donationID}})
}

// Kept is how many locations a newcomer would be shown.
func (t *Trips) Kept(accountID string, now time.Time) int { return len(t.of(accountID, now)) }

// Past is what a gateway reads of the log for those who come back.
type Past struct{ *past }

// NewPast returns one that reads by a function of the test.
func NewPast(read func(ctx context.Context, after, upTo int64) (query.Stretch, error), f *fanout.Fanout) Past {
	return Past{newPast(read, f.Message)}
}

// After returns what goes on after a position, and how far it reaches back and ahead.
func (p Past) After(ctx context.Context, at eventlog.Position) (messages []*fanout.Message, from, upTo eventlog.Position, err error) {
	st, err := p.after(ctx, at)
	if err != nil {
		return nil, from, upTo, err
	}
	return st.since(at.Seq), st.from, st.upTo, nil
}

// Kept is how many stretches are known.
func (p Past) Kept() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.known)
}

// ErrNoTurn is what somebody hears who has waited too long to read the log.
var ErrNoTurn = errNoTurn

// Ended are the sockets that have left on purpose.
type Ended struct{ endedSockets }

// Add remembers one.
func (e *Ended) Add(id string) { e.add(id) }

// Has says whether one is remembered.
func (e *Ended) Has(id string) bool { return e.has(id) }

// Reach waits until a gateway has delivered a position.
func Reach(ctx context.Context, queries *query.Service, f *fanout.Fanout, pos eventlog.Position) (gap string, err error) {
	return (&Gateway{queries: queries, fan: f}).reach(ctx, pos)
}
