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
	at        time.Time // when signal was passed on
	signal    *fanout.Signal
	next      *fanout.Signal // the newest that came too soon after signal; nil: none
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

// hold keeps a location that comes too soon after the last one of the trip, in place
// of what was kept before it, and has pass called with the newest when its time has
// come. It reports whether it did.
func (t *trips) hold(l api.VolunteerLocation, now time.Time, pass func(*fanout.Signal)) (held bool, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.running[l.DonationID]
	if r == nil || r.carrier != l.VolunteerID || r.next == nil && now.Sub(r.at) >= tripStep {
		return false, nil
	}
	first := r.next == nil
	if r.next, err = locationSignal(r.followers, l); err != nil {
		return true, err
	}
	if first {
		time.AfterFunc(r.at.Add(tripStep).Sub(now), func() {
			if s := t.due(l.DonationID, r); s != nil {
				pass(s)
			}
		})
	}
	return true, nil
}

// due is what was held of a trip, unless the trip is over.
func (t *trips) due(donationID string, r *trip) *fanout.Signal {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.running[donationID] != r {
		return nil
	}
	r.at, r.signal, r.next = time.Now(), r.next, nil
	return r.signal
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
// nobody else (P-16, P-25). Of what comes too soon after the last one, the newest is
// passed on a second after that.
func (g *Gateway) share(ctx context.Context, accountID string, req api.ShareLocation) (api.Shared, error) {
	if faults := locationFaults(req); len(faults) > 0 {
		return api.Shared{}, api.NewError(http.StatusBadRequest, api.CodeValidation, faults...)
	}
	if req.VolunteerID != "" && req.VolunteerID != accountID {
		return api.Shared{}, api.NewError(http.StatusForbidden, api.CodeNotYours, "volunteerId is not yours")
	}
	now := time.Now()
	here := api.VolunteerLocation{VolunteerID: accountID, DonationID: req.DonationID, Lat: *req.Lat, Lng: *req.Lng, Timestamp: api.At(now)}
	if held, err := g.trips.hold(here, now, g.fan.Signal); held || err != nil {
		return api.Shared{OK: err == nil}, err
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
	s, err := locationSignal(d.Followers(accountID), here)
	if err != nil {
		return api.Shared{}, err
	}
	if g.trips.note(l, &trip{carrier: accountID, followers: s.Accounts, at: now, signal: s}) {
		g.fan.Signal(s)
	}
	return api.Shared{OK: true}, nil
}

func locationSignal(followers []string, l api.VolunteerLocation) (*fanout.Signal, error) {
	return fanout.NewSignal(followers, api.EventVolunteerLocation+l.DonationID, l)
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
