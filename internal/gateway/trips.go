package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"

	"larder/api"
	"larder/internal/eventlog"
	"larder/internal/fanout"
	"larder/internal/store"
)

const (
	// tripStep is the least time between two locations of one trip that are passed
	// on. A phone tells its location several times a second, a map needs one.
	tripStep = time.Second
	// tripStale is how old a last location may be that a newcomer is shown.
	tripStale = 10 * time.Minute
	// tripsKept bounds the trips whose last location is kept.
	tripsKept = 10_000
)

// trip is where the carrier of one donation was last.
type trip struct {
	carrier   string
	followers []string
	at        time.Time
	signal    *fanout.Signal
}

// trips are those of which this node has heard a location, by donation. Only who was
// found to be the carrier gets in, and any record of the donation takes its trip
// out again: then the carrier is looked up anew. Nothing of it is written down.
type trips struct {
	mu       sync.Mutex // guards the fields below
	running  map[string]*trip
	lookings map[*looking]struct{}
}

// looking is a look-up of the carrier of a donation. A record of the donation that
// is delivered meanwhile makes it stale: what it found may no longer be so.
type looking struct {
	donationID string
	stale      bool // guarded by the mu of trips
}

func (t *trips) look(donationID string) *looking {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.lookings == nil {
		t.lookings = map[*looking]struct{}{}
	}
	l := &looking{donationID: donationID}
	t.lookings[l] = struct{}{}
	return l
}

func (t *trips) looked(l *looking) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.lookings, l)
}

// recent reports whether the carrier has told a location of this trip just now.
func (t *trips) recent(donationID, carrier string, now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.running[donationID]
	return r != nil && r.carrier == carrier && now.Sub(r.at) < tripStep
}

// note keeps the location of a trip that was looked up, and reports whether it is
// still to be passed on. When there are too many the old ones go, and if that is
// not enough this one is passed on without being kept.
func (t *trips) note(l *looking, r *trip) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l.stale {
		return false
	}
	if t.running == nil {
		t.running = map[string]*trip{}
	}
	if len(t.running) >= tripsKept {
		for id, old := range t.running {
			if r.at.Sub(old.at) > tripStale {
				delete(t.running, id)
			}
		}
	}
	if _, known := t.running[l.donationID]; known || len(t.running) < tripsKept {
		t.running[l.donationID] = r
	}
	return true
}

// end forgets the trip of a donation that has changed.
func (t *trips) end(r eventlog.Record) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.running, r.Subject)
	for l := range t.lookings {
		l.stale = l.stale || l.donationID == r.Subject
	}
}

// of returns the last signals of the trips that an account may follow.
func (t *trips) of(accountID string, now time.Time) (signals []*fanout.Signal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.running {
		if now.Sub(r.at) <= tripStale && slices.Contains(r.followers, accountID) {
			signals = append(signals, r.signal)
		}
	}
	return signals
}

// share passes the location of a carrier on to those who wait for the food, and to
// nobody else (P-16, P-25). What comes too soon after the last one is
// acknowledged and dropped.
func (g *Gateway) share(ctx context.Context, accountID string, req api.ShareLocation) (api.Shared, error) {
	if faults := locationFaults(req); len(faults) > 0 {
		return api.Shared{}, api.NewError(http.StatusBadRequest, api.CodeValidation, faults...)
	}
	if req.VolunteerID != "" && req.VolunteerID != accountID {
		return api.Shared{}, api.NewError(http.StatusForbidden, api.CodeNotYours, "volunteerId is not yours")
	}
	now := time.Now()
	if g.trips.recent(req.DonationID, accountID, now) {
		return api.Shared{OK: true}, nil
	}
	l := g.trips.look(req.DonationID)
	defer g.trips.looked(l)
	ctx, done := detached(ctx)
	defer done()
	d, err := g.queries.Donation(ctx, req.DonationID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return api.Shared{}, api.NewError(http.StatusNotFound, api.CodeDonationNotFound, "Donation not found")
	case err != nil:
		return api.Shared{}, err
	case !d.Carries(accountID):
		return api.Shared{}, api.NewError(http.StatusForbidden, api.CodeNotYours, "Only the carrier of a donation on its way may share a location")
	}
	s, err := fanout.NewSignal(d.Followers(accountID), api.EventVolunteerLocation+d.ID, api.VolunteerLocation{
		VolunteerID: accountID, DonationID: d.ID, Lat: *req.Lat, Lng: *req.Lng, Timestamp: api.At(now),
	})
	if err != nil {
		return api.Shared{}, err
	}
	if g.trips.note(l, &trip{carrier: accountID, followers: s.Accounts, at: now, signal: s}) {
		g.fan.Signal(s)
	}
	return api.Shared{OK: true}, nil
}

func locationFaults(req api.ShareLocation) (faults []string) {
	if req.DonationID == "" {
		faults = append(faults, "donationId is required")
	}
	for _, c := range []struct {
		name  string
		value *float64
		most  float64
	}{{"lat", req.Lat, 90}, {"lng", req.Lng, 180}} {
		if c.value == nil || *c.value < -c.most || *c.value > c.most { // JSON has no NaN
			faults = append(faults, fmt.Sprintf("%s must be a number from %g to %g", c.name, -c.most, c.most))
		}
	}
	return faults
}

// Signal implements fanout.Door.
func (g *Gateway) Signal(s *fanout.Signal) {
	rooms := make([]string, len(s.Accounts))
	for i, id := range s.Accounts {
		rooms[i] = fanout.RoomUser(id)
	}
	for _, n := range g.spaces {
		n.Emit(s.Event, rooms...)
	}
	g.own.signal(s)
}
