// Package donation holds the life of a donation: its states, the commands that
// change it, who may give them, and the events that a change makes.
//
// The package is pure. State, command and time go in; the changed donation with
// its events, or a refusal, comes out. It has no clock, no storage and no
// goroutine, and imports the standard library and the rules of package account.
// Everything that may happen to a donation is in the table of transitions; the
// tests enumerate every pair of state, command and role.
package donation

import (
	"encoding/json"
	"time"

	"larder/internal/account"
)

// Status is a state of a donation. The texts are those of the wire.
type Status string

// The states. Delivered, Expired and Cancelled are final.
const (
	Available Status = "AVAILABLE"
	Claimed   Status = "CLAIMED"
	PickedUp  Status = "PICKED_UP"
	Delivered Status = "DELIVERED"
	Expired   Status = "EXPIRED"
	Cancelled Status = "CANCELLED"
)

// Statuses are all states in the order of a donation's life.
func Statuses() []Status {
	return []Status{Available, Claimed, PickedUp, Delivered, Expired, Cancelled}
}

// Donation is food on offer and what became of it.
type Donation struct {
	ID                  string
	Name                string
	Description         string
	FoodType            string
	Quantity            float64 // in Unit
	Unit                string
	Hygiene             json.RawMessage // an object, or nil
	PreparationTime     time.Time
	ExpiryTime          time.Time
	Latitude            float64 // degrees
	Longitude           float64
	Address             string
	SpecialInstructions string
	ImageURLs           []string
	Status              Status
	DonorID             string
	DonorName           string
	DonorTrustScore     *float64 // when the donation was read, and never stored with it; nil: nobody has rated the donor
	ClaimedByID         string   // empty: nobody
	ClaimedAt           *time.Time
	EstimatedPickupTime *time.Time
	AssignedVolunteerID string
	VolunteerID         string // the carrier, when a volunteer
	PickedUpAt          *time.Time
	PickedUpBy          string
	DeliveredAt         *time.Time
	DeliveredBy         string
	CancelReason        string
	NearExpiryAt        *time.Time // when it was announced that it expires soon
	Version             int64      // 1 when created, one more with each change
	CreatedAt           time.Time
	UpdatedAt           time.Time
}

// StatusAt is the status at now: an overdue donation that nobody has picked up
// counts as expired even before the clock has written it down.
func (d Donation) StatusAt(now time.Time) Status {
	if (d.Status == Available || d.Status == Claimed) && !now.Before(d.ExpiryTime) {
		return Expired
	}
	return d.Status
}

// Party says whether the account takes part in d, and so may read its history:
// donor, claimer, carrier, deliverer and the proposed volunteer.
func (d Donation) Party(accountID string) bool {
	switch accountID {
	case "":
		return false
	case d.DonorID, d.ClaimedByID, d.VolunteerID, d.PickedUpBy, d.DeliveredBy, d.AssignedVolunteerID:
		return true
	}
	return false
}

// EventType names what happened.
type EventType string

// The events of a donation's life.
const (
	EventCreated       EventType = "donation.created"
	EventClaimed       EventType = "donation.claimed"
	EventStatusUpdated EventType = "donation.status.updated"
	EventNearExpiry    EventType = "donation.near_expiry" // no change: the version stays
)

// Event is one change of a donation, or its near expiry. After is the donation as the change left it.
type Event struct {
	Type     EventType
	Previous Status // empty for EventCreated
	By       string // an account's id or account.SystemID
	ByName   string // how to call him; empty for the clock
	Reason   string
	At       time.Time
	Before   Donation // zero for EventCreated and EventNearExpiry
	After    Donation
}

// Outcome is what a command did: the changed donation, what happened, and the
// karma that it earns. No events means that nothing changed (a repeated
// delivery by the same actor). TakesBack are the reasons for which the donation
// brought karma before that it brings no more, to whomever.
type Outcome struct {
	Donation  Donation
	Events    []Event
	Awards    []account.Award
	TakesBack []account.Reason
}
