package verify

import (
	"maps"
	"slices"
	"time"

	"larder/api"
)

// judgeProposals looks at the trips that claims proposed: to a volunteer who is free
// for them, told to nobody but him, the claimer and the donor, and one for each claim
// as long as somebody is free.
func judgeProposals(e *Evidence) []string {
	var v verdict
	c := cast(e)
	free := map[string]bool{}
	for _, a := range e.Accounts {
		free[a.ID] = a.Available
	}
	made := map[place]int{} // by claim
	for _, id := range slices.Sorted(maps.Keys(c.proposals)) {
		s := e.Sights[id]
		claim, ok := c.changes[s.Donation][moment(s.At)+"CLAIMED"]
		switch {
		case c.changes[s.Donation] == nil && !e.Whole:
			continue // of a donation from before the run
		case !ok || claim.Position >= s.Position:
			v.add("%s belongs to no claim", s)
			continue
		}
		made[place{s.Donation, claim.Version}]++
		if able, ours := free[s.Told.To]; ours && !able {
			v.add("%s proposes the trip to %s, who is not free for it", s, s.Told.To)
		}
		audience := []string{s.Told.To, claim.By, c.board[s.Donation].donor}
		for account := range e.Logs {
			want := 0
			if slices.Contains(audience, account) {
				want = 1
			}
			if got := c.proposals[id][account]; got != want {
				v.add("log of %s has %s %d times, not %d", account, s, got, want)
			}
		}
	}
	somebody := slices.ContainsFunc(e.Accounts, func(a Account) bool { return a.Available })
	for _, id := range e.Log {
		s := e.Sights[id]
		n := made[place{s.Donation, s.Version}]
		if s.Name == api.EventDonationClaimed && (n > 1 || n == 0 && somebody) {
			v.add("%d trips were proposed for %s", n, s)
		}
	}
	return v.all()
}

// From the contract (P-13), and how late the clock may be.
const (
	nearExpiryLead = time.Hour
	clockSlack     = 2 * time.Second
)

// judgeNearExpiry looks at the announcements that a donation expires soon: once in
// its life, while it is open, and not when it was listed with less than that.
func judgeNearExpiry(e *Evidence) []string {
	var v verdict
	b, told := board{}, map[string]bool{}
	var end time.Time
	for _, id := range e.Log {
		s := e.Sights[id]
		b.take(s, e.Whole)
		if isChange(s) {
			end = s.At
		}
		d, known := b[s.Donation]
		if s.Name != api.EventDonationNearExpiry || !known && !e.Whole {
			continue
		}
		switch {
		case told[s.Donation]:
			v.add("%s: it was announced before", s)
		case d.status != "AVAILABLE" && d.status != "CLAIMED":
			v.add("%s: it was %q then", s, d.status)
		case !d.createdAt.Before(d.Expires.Add(-nearExpiryLead)):
			v.add("%s: it was listed with no more than that left", s)
		}
		told[s.Donation] = true
	}
	for _, id := range slices.Sorted(maps.Keys(b)) {
		d := b[id]
		due := d.Expires.Add(-nearExpiryLead)
		if open := d.status == "AVAILABLE" || d.status == "CLAIMED"; open && !told[id] && d.createdAt.Before(due) && due.Add(clockSlack).Before(end) {
			v.add("donation %s expires at %s and nobody was told", id, moment(d.Expires))
		}
	}
	return v.all()
}
