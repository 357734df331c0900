package verify

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"larder/api"
)

// allowed is the life of a donation, from the contract: what it may become from
// where.
var allowed = map[string][]string{
	"AVAILABLE": {"CLAIMED", "CANCELLED", "EXPIRED"},
	"CLAIMED":   {"AVAILABLE", "PICKED_UP", "CANCELLED", "EXPIRED"},
	"PICKED_UP": {"DELIVERED"},
}

// state is a donation as the log tells it.
type state struct {
	Offer
	donor, status                      string
	version                            int64
	claimedBy, pickedUpBy, deliveredBy string
	createdAt, claimedAt, updatedAt    time.Time
}

// after returns the state after an event, and what is wrong with the event.
func (d state) after(s Sight) (state, string) {
	fault := ""
	switch {
	case s.Version != d.version+1:
		fault = fmt.Sprintf("%s follows version %d", s, d.version)
	case s.Previous != d.status:
		fault = fmt.Sprintf("%s says that it was %s before, and it was %s", s, s.Previous, d.status)
	case !slices.Contains(allowed[d.status], s.Status):
		fault = fmt.Sprintf("%s: from %s that is not allowed", s, d.status)
	}
	d.status, d.version, d.updatedAt = s.Status, s.Version, s.At
	switch s.Status {
	case "CLAIMED":
		d.claimedBy, d.claimedAt = s.By, s.At
	case "AVAILABLE":
		d.claimedBy, d.claimedAt = "", time.Time{}
	case "PICKED_UP":
		d.pickedUpBy = s.By
	case "DELIVERED":
		d.deliveredBy = s.By
	}
	return d, fault
}

// board is all donations, folded from the log so far.
type board map[string]state

// take adds an event, and says what is wrong with it. Donations whose beginning it
// has not seen are left out unless whole is set.
func (b board) take(s Sight, whole bool) (fault string) {
	if !isChange(s) {
		return ""
	}
	d, known := b[s.Donation]
	switch {
	case s.Name == api.EventDonationCreated && known:
		return fmt.Sprintf("%s: it was created before", s)
	case s.Name == api.EventDonationCreated:
		if s.Version != 1 || s.Status != "AVAILABLE" {
			fault = fmt.Sprintf("%s: not how a donation begins", s)
		}
		b[s.Donation] = state{Offer: *s.Created, donor: s.By, status: s.Status, version: s.Version, createdAt: s.At, updatedAt: s.At}
		return fault
	case !known && whole:
		return fmt.Sprintf("%s: it was never created", s)
	case !known:
		return ""
	}
	b[s.Donation], fault = d.after(s)
	return fault
}

func fold(e *Evidence) (b board, faults []string) {
	b = board{}
	for _, id := range e.Log {
		if f := b.take(e.Sights[id], e.Whole); f != "" {
			faults = append(faults, f)
		}
	}
	return b, faults
}

// judgeBoard compares the log with the rows: no event without its row, no change
// of a row without its event.
func judgeBoard(e *Evidence) []string {
	var v verdict
	b, faults := fold(e)
	for _, f := range faults {
		v.add("log: %s", f)
	}
	for _, id := range slices.Sorted(maps.Keys(b)) {
		row, ok := e.Rows[id]
		if !ok {
			v.add("event without its row: donation %s is %s in the log, version %d, and not there", id, b[id].status, b[id].version)
			continue
		}
		for _, f := range b[id].differences(row) {
			v.add("row and log differ: donation %s: %s", id, f)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(e.Rows)) {
		if _, ok := b[id]; !ok && e.Whole {
			v.add("row without its event: donation %s is %s, version %d, and the log does not know it", id, e.Rows[id].Status, e.Rows[id].Version)
		}
	}
	return v.all()
}

func (d state) differences(row api.Donation) (faults []string) {
	differ := func(what, got, want string) {
		if got != want {
			faults = append(faults, fmt.Sprintf("%s is %q in the row and %q in the log", what, got, want))
		}
	}
	text := func(p *string) string {
		if p == nil {
			return ""
		}
		return *p
	}
	differ("version", strconv.FormatInt(row.Version, 10), strconv.FormatInt(d.version, 10))
	differ("status", row.Status, d.status)
	differ("donor", row.DonorID, d.donor)
	differ("claimer", text(row.ClaimedByID), d.claimedBy)
	differ("carrier", text(row.PickedUpBy), d.pickedUpBy)
	differ("deliverer", text(row.DeliveredBy), d.deliveredBy)
	differ("time of the last change", moment(row.UpdatedAt.Time), moment(d.updatedAt))
	differ("quantity", strconv.FormatFloat(row.Quantity, 'f', -1, 64), d.Quantity)
	differ("unit", row.Unit, d.Unit)
	return faults
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }

// Points of karma, from the contract.
const (
	pointsCreate  = 10
	pointsClaim   = 10
	pointsDonate  = 30
	pointsReceive = 20
	pointsCarry   = 50
	// lentListings is how many listings that nobody has claimed earn at once.
	lentListings = 20
)

// judgeAccounts compares karma and intake load with what the log says, and looks
// whether an NGO ever took more than its capacity.
func judgeAccounts(e *Evidence) []string {
	var v verdict
	accounts := map[string]Account{}
	for _, a := range e.Accounts {
		accounts[a.ID] = a
	}
	type award struct{ donation, account, reason string }
	awards := map[award]int{}
	b := board{}
	open := map[string]map[string]bool{} // by claimer, donations that count
	listed := map[string]int{}           // by donor, those that nobody has claimed
	for _, id := range e.Log {
		s := e.Sights[id]
		before := b[s.Donation]
		b.take(s, e.Whole)
		after, known := b[s.Donation]
		if !known || !isChange(s) {
			continue
		}
		if before.status == "AVAILABLE" {
			listed[after.donor]--
		}
		if s.Name == api.EventDonationCreated && listed[after.donor] < lentListings {
			awards[award{s.Donation, after.donor, "create"}] = pointsCreate
		}
		if after.status == "AVAILABLE" {
			listed[after.donor]++
		}
		switch s.Status {
		case "CLAIMED":
			awards[award{s.Donation, after.donor, "create"}] = pointsCreate
			awards[award{s.Donation, s.By, "claim"}] = pointsClaim
			add(open, s.By, s.Donation)
			if a := accounts[s.By]; a.Capacity != nil && b.load(open, a, dayStart(s.At, e.Place)) > *a.Capacity+1e-6 {
				v.add("over capacity: %s takes %s %s with %s and may take %g in a day", a.ID, after.Quantity, after.Unit, s, *a.Capacity)
			}
			continue
		case "AVAILABLE", "CANCELLED", "EXPIRED":
			delete(awards, award{s.Donation, before.claimedBy, "claim"})
			if s.Status != "AVAILABLE" { // it reached nobody
				delete(awards, award{s.Donation, after.donor, "create"})
			}
		case "DELIVERED":
			awards[award{s.Donation, after.donor, "donate"}] = pointsDonate
			awards[award{s.Donation, after.claimedBy, "receive"}] = pointsReceive
			if accounts[after.pickedUpBy].Role == "VOLUNTEER" {
				awards[award{s.Donation, after.pickedUpBy, "carry"}] = pointsCarry
			}
		}
		if s.Status != "PICKED_UP" {
			delete(open[before.claimedBy], s.Donation)
		}
	}
	karma := map[string]int{}
	for a, points := range awards {
		karma[a.account] += points
	}
	for _, a := range e.Accounts {
		if karma[a.ID] != a.Karma {
			v.add("karma of %s %s is %d, and its history earns %d", a.Role, a.ID, a.Karma, karma[a.ID])
		}
		if load := b.load(open, a, dayStart(a.ReadAt, e.Place)); a.Role == "NGO" && math.Abs(load-a.Load) > 1e-6 {
			v.add("intake load of %s is %g, and its open claims of the day are %g", a.ID, a.Load, load)
		}
	}
	return v.all()
}

func add(sets map[string]map[string]bool, key, member string) {
	if sets[key] == nil {
		sets[key] = map[string]bool{}
	}
	sets[key][member] = true
}

// load is the sum of what an NGO has claimed since a moment and still holds.
func (b board) load(open map[string]map[string]bool, a Account, since time.Time) (sum float64) {
	for id := range open[a.ID] {
		d := b[id]
		if d.claimedAt.Before(since) || a.Unit != "" && !strings.EqualFold(strings.TrimSpace(a.Unit), strings.TrimSpace(d.Unit)) {
			continue
		}
		q, err := strconv.ParseFloat(d.Quantity, 64)
		if err == nil {
			sum += q
		}
	}
	return sum
}

func dayStart(at time.Time, loc *time.Location) time.Time {
	y, m, d := at.In(loc).Date()
	return time.Date(y, m, d, 0, 0, 0, 0, loc)
}
