// Package notice holds the rules of notifications: who is told what of a change of
// a donation, of karma earned, and of what an admin did about an account or a ticket,
// and in which words.
//
// The package is pure: an event goes in, notices come out. It has no clock, no
// storage and no goroutine. Who is told is only who is concerned, and nobody is
// told of what he did himself; the tests enumerate the events and who did them.
package notice

import (
	"time"

	"larder/internal/account"
)

// Types of notifications. The first four are those that clients older than Larder
// know; they show any type.
const (
	TypeNewFood        = "new_food_nearby"
	TypeFoodClaimed    = "food_claimed"
	TypePickupAssigned = "pickup_assigned"
	TypeDelivered      = "delivery_confirmed"
	TypeNearExpiry     = "near_expiry"
	TypePickedUp       = "food_picked_up"
	TypeReleased       = "claim_released"
	TypeCancelled      = "donation_cancelled"
	TypeExpired        = "donation_expired"
	TypeBadge          = "badge_earned"
	TypeVerified       = "account_verified"
	TypeTicketAnswered = "ticket_answered"
)

// Notice is what somebody is told.
type Notice struct {
	Type       string
	Title      string
	Message    string
	To         string         // an account's id; empty: Roles
	Roles      []account.Role // everybody who has one of these roles
	DonationID string         // what it is about; empty: no donation
}

// Notification is a notice that was stored, as one account reads it.
type Notification struct {
	ID string
	Notice
	CreatedAt time.Time
	Read      bool
	Seq       int64 // its number in the order of the commits, given by the store
}
