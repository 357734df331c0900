package gateway

import (
	"time"

	"larder/internal/eventlog"
	"larder/internal/fanout"
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
