package verify

import (
	"fmt"
	"slices"
	"time"

	"larder/api"
)

// occasions are the kinds of notifications about donations and what a donation has
// become when one is told, from the contract. Other kinds are other parts' to judge.
var occasions = map[string][]string{
	"new_food_nearby":    {"AVAILABLE"},
	"food_claimed":       {"CLAIMED"},
	"pickup_assigned":    {"CLAIMED"},
	"food_picked_up":     {"PICKED_UP"},
	"delivery_confirmed": {"DELIVERED"},
	"claim_released":     {"AVAILABLE"},
	"donation_cancelled": {"CANCELLED"},
	"donation_expired":   {"EXPIRED"},
	"badge_earned":       {"AVAILABLE", "CLAIMED", "DELIVERED"},
	"near_expiry":        nil, // no change
}

// notice is what an account is to be told, or was.
type notice struct {
	account, kind, donation string
	at                      time.Time
}

func (n notice) String() string {
	return fmt.Sprintf("%s of donation %s at %s to %s", n.kind, n.donation, moment(n.at), n.account)
}

// judgeTold looks at what accounts were told of changes of donations: only who is
// concerned, of a change that there was, each once, and nobody is left out.
func judgeTold(e *Evidence) []string {
	var v verdict
	c := cast(e)
	for account, log := range e.Logs {
		got := map[notice]int{}
		ids := map[string]bool{}
		for _, id := range log {
			s := e.Sights[id]
			if s.Name != api.EventNotification {
				continue
			}
			if ids[s.Told.ID] {
				v.add("log of %s has the notification %s twice", account, s.Told.ID)
			}
			ids[s.Told.ID] = true
			if f := c.fault(e, account, s); f != "" {
				v.add("log of %s: %s %s", account, s, f)
			}
			got[notice{account, s.Told.Kind, s.Donation, s.At}]++
		}
		for n, times := range c.due {
			if n.account == account && (got[n] > times || got[n] < times && e.Told) {
				v.add("told %d times, not %d: %s", got[n], times, n)
			}
		}
	}
	return v.all()
}

// roster is who had a part in each donation, what became of it when, and what has to
// be told of it.
type roster struct {
	roles   map[string]string
	parties map[string][]string         // by donation
	changes map[string]map[string]Sight // by donation, then time and status
	due     map[notice]int              // by account

	proposals map[uint32]map[string]int // by sight and account: how often it is in that log
	board     board                     // in the end
}

func cast(e *Evidence) *roster {
	c := &roster{
		roles: map[string]string{}, parties: map[string][]string{}, changes: map[string]map[string]Sight{}, due: map[notice]int{},
		proposals: map[uint32]map[string]int{}, board: board{},
	}
	for _, a := range e.Accounts {
		c.roles[a.ID] = a.Role
	}
	for account, log := range e.Logs {
		for _, id := range log {
			s := e.Sights[id]
			if s.Name != api.EventVolunteerAssigned {
				continue
			}
			if c.proposals[id] == nil {
				c.proposals[id] = map[string]int{}
				c.parties[s.Donation] = append(c.parties[s.Donation], s.Told.To)
				c.due[notice{s.Told.To, "pickup_assigned", s.Donation, s.At}]++
			}
			c.proposals[id][account]++
		}
	}
	for _, id := range e.Log {
		s := e.Sights[id]
		if !isChange(s) {
			continue
		}
		before := c.board[s.Donation]
		c.board.take(s, false)
		after, known := c.board[s.Donation]
		if c.changes[s.Donation] == nil {
			c.changes[s.Donation] = map[string]Sight{}
		}
		c.changes[s.Donation][moment(s.At)+s.Status] = s
		c.parties[s.Donation] = append(c.parties[s.Donation], after.donor, after.claimedBy, after.pickedUpBy, after.deliveredBy)
		if known {
			c.expect(s, before, after)
		}
	}
	return c
}

// expect adds who has to be told of a change.
func (c *roster) expect(s Sight, before, after state) {
	tell := func(kind string, accounts ...string) {
		for i, a := range accounts {
			if a != "" && a != s.By && !slices.Contains(accounts[:i], a) {
				c.due[notice{a, kind, s.Donation, s.At}]++
			}
		}
	}
	switch {
	case s.Name == api.EventDonationCreated:
		for a, role := range c.roles {
			if role == "NGO" || role == "VOLUNTEER" {
				tell("new_food_nearby", a)
			}
		}
	case s.Status == "CLAIMED":
		tell("food_claimed", after.donor)
	case s.Status == "PICKED_UP":
		tell("food_picked_up", after.donor, after.claimedBy)
	case s.Status == "DELIVERED":
		tell("delivery_confirmed", after.donor, after.claimedBy, after.pickedUpBy)
	case s.Status == "AVAILABLE":
		tell("claim_released", before.donor, before.claimedBy)
	case s.Status == "CANCELLED":
		tell("donation_cancelled", after.donor, before.claimedBy)
	case s.Status == "EXPIRED":
		tell("donation_expired", after.donor, before.claimedBy)
	}
}

func (c *roster) party(donation, account string) bool {
	return account != "" && slices.Contains(c.parties[donation], account)
}

// fault is what is wrong with a notification in the log of an account.
func (c *roster) fault(e *Evidence, account string, s Sight) string {
	statuses, known := occasions[s.Told.Kind]
	switch {
	case s.Told.To == "" && (s.Told.Kind != "new_food_nearby" || c.roles[account] != "NGO" && c.roles[account] != "VOLUNTEER"):
		return "is for roles, and not for a " + c.roles[account]
	case s.Told.To != "" && s.Told.To != account:
		return "is for " + s.Told.To
	case !known || s.Told.Kind == "near_expiry" && c.party(s.Donation, account):
		return ""
	case c.changes[s.Donation] == nil && !e.Whole:
		return "" // of a donation from before the run
	case s.Told.To != "" && !c.party(s.Donation, account):
		return "tells who has no part in it"
	}
	for _, status := range statuses {
		if cause, ok := c.changes[s.Donation][moment(s.At)+status]; ok && cause.Position < s.Position {
			if cause.By == account && s.Told.Kind != "badge_earned" {
				return "tells who did it"
			}
			return ""
		}
	}
	return "belongs to no change of the donation"
}
