package command_test

import (
	"encoding/json"
	"slices"
	"strings"
	"time"

	"larder/internal/donation"
)

// model is what the contract says of the life of a donation, written anew: it
// calls nothing of packages donation, account and command. It knows what is
// stored, what the log holds since it was last looked at, and what each
// idempotency key was answered.
type model struct {
	place     *time.Location
	accounts  map[string]*person
	donations map[string]*food
	karma     map[[3]string]int // donation, account, reason
	badges    map[[2]any]bool   // account and points
	answers   map[[2]string]said
	events    []fact
	later     []fact // of the same command: proposals and notifications come behind its events
}

type person struct {
	Role             string
	Verified, Active bool
	Capacity         float64 // below 0: none
	Unit             string
	Away             float64 // km from all food of the model; below 0: nobody knows
}

type food struct {
	ID, Donor, Status, Unit                string
	Quantity                               float64
	Created, Expires, Updated              time.Time
	Claimer, Carrier, Volunteer, Deliverer string
	Proposed                               string
	Claimed, Picked, Delivered, Near       time.Time // zero: never
	Reason                                 string
	Version                                int64
}

// fact is a record as it should be in the log.
type fact struct {
	Type, Subject, Previous string
	Version                 int64
	Everyone                bool
	To                      string         // accounts and roles, when not everyone
	Payload                 map[string]any // of donation.created only a part
	Status                  string         // of the donation that comes with it
}

// wish is a command.
type wish struct {
	Kind, By, Key, Target, Reason string
	Draft                         donation.Draft
	Capacity                      float64
}

// tell notes that accounts are told something of a donation: each once, nobody of
// what he did himself.
func (m *model) tell(by, kind, id string, whom ...string) {
	told := []string{"", by}
	for _, who := range whom {
		if slices.Contains(told, who) {
			continue
		}
		told = append(told, who)
		m.note(kind, id, who, who)
	}
}

func (m *model) note(kind, id, to string, reader any) {
	m.later = append(m.later, fact{
		Type: "notification", To: to, Payload: map[string]any{"type": kind, "userId": reader, "donationId": id, "read": false},
	})
}

// settle puts what was told behind what happened.
func (m *model) settle() { m.events, m.later = append(m.events, m.later...), nil }

// propose is to whom a claim proposes its trip: who is nearest, each trip that he
// has counting as 10 km.
func (m *model) propose() (best string) {
	cost := func(who string) float64 {
		trips := 0
		for _, d := range m.donations {
			if d.Status == "CLAIMED" && d.Proposed == who || d.Status == "PICKED_UP" && d.Carrier == who {
				trips++
			}
		}
		return m.accounts[who].Away + 10*float64(trips)
	}
	for who, p := range m.accounts {
		if p.Active && p.Away >= 0 && (best == "" || cost(who) < cost(best)) {
			best = who
		}
	}
	return best
}

// print is what makes it this command and no other.
func (w wish) print() string {
	w.By, w.Key = "", ""
	text, err := json.Marshal(w)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// said is what a wish is answered.
type said struct {
	Code                    string // empty: accepted
	ID, Status              string
	Version                 int64
	CallerKarma, DonorKarma int
	Verified, Active        bool // of the account that was changed

	print string
	at    time.Time
}

// Refusals that are not kept for a key: they are asked anew each time.
var unkept = []string{"suspended", "not admin", "not ngo", "admin target", "not found", "key reused"}

// run says what becomes of w at now. id is that of a new donation.
func (m *model) run(w wish, id string, now time.Time) said {
	k := [2]string{w.By, w.Key}
	if old, ok := m.answers[k]; ok && w.Key != "" {
		if old.print != w.print() {
			return said{Code: "key reused"}
		}
		return old.public()
	}
	a := m.decide(w, id, now)
	if w.Key != "" && !slices.Contains(unkept, a.Code) {
		a.print, a.at = w.print(), now
		m.answers[k] = a
	}
	return a.public()
}

func (a said) public() said {
	a.print, a.at = "", time.Time{}
	return a
}

func (m *model) decide(w wish, id string, now time.Time) said {
	by := m.accounts[w.By]
	if !by.Active {
		return said{Code: "suspended"}
	}
	switch w.Kind {
	case "create":
		return m.create(w, by, id, now)
	case "verify", "toggle", "capacity":
		return m.account(w, by)
	}
	d := m.donations[w.Target]
	if d == nil {
		return said{Code: "not found"}
	}
	if code := m.mayNot(w, by, d); code != "" {
		return said{Code: code}
	}
	if w.Kind == "deliver" && d.Status == "DELIVERED" && d.Deliverer == w.By {
		return d.said()
	}
	if code := m.wrongState(w, d, now); code != "" {
		return said{Code: code}
	}
	if w.Kind == "claim" && by.Capacity >= 0 {
		if by.Unit != "" && !strings.EqualFold(by.Unit, d.Unit) {
			return said{Code: "unit_mismatch"}
		}
		if m.load(w.By, now)+d.Quantity > by.Capacity {
			return said{Code: "over_capacity"}
		}
	}
	if w.Kind == "cancel" && w.Reason == "" {
		return said{Code: "validation_failed"}
	}
	return m.change(w, by, d, now)
}

func (m *model) create(w wish, by *person, id string, now time.Time) said {
	if by.Role != "DONOR" && by.Role != "ADMIN" {
		return said{Code: "wrong_role"}
	}
	left := w.Draft.ExpiryTime.Sub(now)
	if w.Draft.Quantity < 0.1 || w.Draft.Quantity > 1e6 || left <= 0 || (w.Draft.FoodType == "cooked" && left < 2*time.Hour) {
		return said{Code: "validation_failed"}
	}
	d := &food{
		ID: id, Donor: w.By, Status: "AVAILABLE", Unit: w.Draft.Unit, Quantity: w.Draft.Quantity,
		Created: now, Expires: w.Draft.ExpiryTime, Updated: now, Version: 1,
	}
	lent := 0
	for _, other := range m.donations {
		if other.Donor == w.By && other.Status == "AVAILABLE" {
			lent++
		}
	}
	m.donations[id] = d
	a := d.said()
	m.note("new_food_nearby", id, "NGO VOLUNTEER", nil)
	if lent < 20 {
		a.CallerKarma = m.award(id, w.By, "create", 10)
	}
	m.events = append(m.events, fact{
		Type: "donation.created", Subject: id, Version: 1, Everyone: true, Status: d.Status,
		Payload: map[string]any{"id": id, "status": "AVAILABLE", "version": 1.0, "donorId": w.By, "expiryTime": wire(d.Expires), "createdAt": wire(now)},
	})
	m.settle()
	return a
}

// mayNot is why this person may not do it to this donation, whatever its status.
func (m *model) mayNot(w wish, by *person, d *food) string {
	may := map[string]string{
		"claim": "NGO", "release": "NGO ADMIN", "pick up": "VOLUNTEER NGO ADMIN", "deliver": "VOLUNTEER NGO ADMIN",
		"cancel": "DONOR ADMIN", "expire": "",
	}
	switch {
	case !slices.Contains(strings.Fields(may[w.Kind]), by.Role):
		return "wrong_role"
	case w.Kind == "claim" && !by.Verified:
		return "ngo_not_verified"
	case w.Kind != "claim" && by.Role == "NGO" && d.Claimer != "" && d.Claimer != w.By,
		w.Kind == "cancel" && by.Role == "DONOR" && d.Donor != w.By,
		w.Kind == "deliver" && by.Role == "VOLUNTEER" && d.Carrier != "" && d.Carrier != w.By:
		return "not_yours"
	}
	return ""
}

func (m *model) wrongState(w wish, d *food, now time.Time) string {
	status := d.Status
	if d.open() && !now.Before(d.Expires) {
		status = "EXPIRED"
	}
	from := map[string]string{
		"claim": "AVAILABLE", "release": "CLAIMED", "pick up": "CLAIMED", "deliver": "PICKED_UP", "cancel": "AVAILABLE CLAIMED",
	}
	switch {
	case slices.Contains(strings.Fields(from[w.Kind]), status):
		return ""
	case w.Kind == "claim" && status == "EXPIRED":
		return "donation_expired"
	case w.Kind == "claim":
		return "donation_not_available"
	}
	return "invalid_transition"
}

// change does what was found to be allowed.
func (m *model) change(w wish, by *person, d *food, now time.Time) said {
	previous, was := d.Status, *d
	var mine, donors int
	switch w.Kind {
	case "claim":
		d.Proposed = m.propose() // while it is nobody's trip yet
		d.Status, d.Claimer, d.Claimed = "CLAIMED", w.By, now
		m.tell(w.By, "food_claimed", d.ID, d.Donor)
		m.tell(w.By, "pickup_assigned", d.ID, d.Proposed)
		m.award(d.ID, d.Donor, "create", 10)
		mine = m.award(d.ID, w.By, "claim", 10)
	case "release":
		m.karma[[3]string{d.ID, d.Claimer, "claim"}] = 0
		d.Status, d.Claimer, d.Claimed, d.Proposed = "AVAILABLE", "", time.Time{}, ""
		m.tell(w.By, "claim_released", d.ID, d.Donor, was.Claimer, was.Proposed)
	case "pick up":
		d.Status, d.Carrier, d.Picked = "PICKED_UP", w.By, now
		if by.Role == "VOLUNTEER" {
			d.Volunteer = w.By
		}
		m.tell(w.By, "food_picked_up", d.ID, d.Donor, d.Claimer, d.Proposed)
	case "cancel":
		m.tell(w.By, "donation_cancelled", d.ID, d.Donor, d.Claimer, d.Proposed)
		d.Status, d.Reason = "CANCELLED", w.Reason
		m.lost(d)
	case "deliver":
		d.Status, d.Deliverer, d.Delivered = "DELIVERED", w.By, now
		m.tell(w.By, "delivery_confirmed", d.ID, d.Donor, d.Claimer, d.Carrier)
		for _, a := range []struct {
			who, why string
			points   int
		}{{d.Donor, "donate", 30}, {d.Claimer, "ngo_delivery", 20}, {d.Volunteer, "carry", 50}} {
			if a.who == "" {
				continue
			}
			got := m.award(d.ID, a.who, a.why, a.points)
			if a.who == w.By {
				mine += got
			}
			if a.why == "donate" {
				donors = got
			}
		}
	}
	m.changed(d, previous, w.By, w.Reason, now)
	if w.Kind == "claim" && d.Proposed != "" {
		m.events = append(m.events, fact{
			Type: "volunteer.assigned", Subject: d.ID, To: strings.Join([]string{d.Proposed, d.Claimer, d.Donor}, " "),
			Payload: map[string]any{
				"volunteerId": d.Proposed, "donationId": d.ID, "donationName": "Soup", "donorAddress": "50.00000, 14.00000",
				"ngoName": w.By, "createdAt": wire(now),
			},
		})
	}
	m.settle()
	a := d.said()
	a.CallerKarma, a.DonorKarma = mine, donors
	return a
}

// changed gives d a new version and logs it.
func (m *model) changed(d *food, previous, by, reason string, now time.Time) {
	d.Version++
	d.Updated = now
	f := fact{Type: "donation.status.updated", Subject: d.ID, Previous: previous, Version: d.Version, Everyone: true, Status: d.Status}
	if d.Status == "CLAIMED" {
		f.Type = "donation.claimed"
		f.Payload = map[string]any{"donationId": d.ID, "claimedBy": by, "status": d.Status, "claimedAt": wire(now), "version": float64(d.Version)}
	} else {
		f.Payload = map[string]any{
			"donationId": d.ID, "status": d.Status, "previousStatus": previous, "updatedBy": by, "updatedAt": wire(now),
			"reason": any(reason), "version": float64(d.Version),
		}
		if reason == "" {
			f.Payload["reason"] = nil
		}
	}
	m.events = append(m.events, f)
}

// account changes an account: an admin that of another, or an NGO its own.
func (m *model) account(w wish, by *person) said {
	what, target, id := "account.updated", by, w.By
	if w.Kind != "capacity" {
		if by.Role != "ADMIN" {
			return said{Code: "not admin"}
		}
		if target, id = m.accounts[w.Target], w.Target; target == nil {
			return said{Code: "not found"}
		}
	}
	switch {
	case w.Kind == "capacity":
		target.Capacity = w.Capacity
	case w.Kind == "verify" && target.Role != "NGO":
		return said{Code: "not ngo"}
	case w.Kind == "verify" && target.Verified:
		return said{ID: id, Verified: true, Active: target.Active}
	case w.Kind == "verify":
		what, target.Verified = "account.verified", true
	case target.Role == "ADMIN":
		return said{Code: "admin target"}
	case target.Active:
		what, target.Active = "account.suspended", false
	default:
		what, target.Active = "account.restored", true
	}
	m.events = append(m.events, fact{
		Type: what, Subject: id,
		Payload: map[string]any{"id": id, "role": target.Role, "verified": target.Verified, "active": target.Active},
	})
	if what == "account.verified" {
		m.events = append(m.events, fact{
			Type: "notification", To: id, Payload: map[string]any{"type": "account_verified", "userId": id, "donationId": nil, "read": false},
		})
	}
	return said{ID: id, Verified: target.Verified, Active: target.Active}
}

// expire and announce are what the clock does at now, and say to how many.
func (m *model) expire(now time.Time) int {
	due := m.byExpiry(func(d *food) bool { return d.open() && !now.Before(d.Expires) })
	for _, d := range due {
		previous := d.Status
		d.Status = "EXPIRED"
		m.lost(d)
		m.changed(d, previous, "system", "time is over", now)
		m.tell("system", "donation_expired", d.ID, d.Donor, d.Claimer, d.Proposed)
	}
	m.settle()
	return len(due)
}

func (m *model) announce(now time.Time) int {
	near := m.byExpiry(func(d *food) bool {
		left, listedWith := d.Expires.Sub(now), d.Expires.Sub(d.Created)
		return d.open() && d.Near.IsZero() && left > 0 && left <= time.Hour && listedWith > time.Hour
	})
	for _, d := range near {
		d.Near = now
		m.events = append(m.events, fact{
			Type: "donation.near_expiry", Subject: d.ID, Previous: d.Status, Version: d.Version, Everyone: true, Status: d.Status,
			Payload: map[string]any{"donationId": d.ID, "expiryTime": wire(d.Expires)},
		})
		m.tell("system", "near_expiry", d.ID, d.Donor, d.Claimer)
	}
	m.settle()
	return len(near)
}

// forget is what becomes of old keys.
func (m *model) forget(now time.Time) {
	for k, a := range m.answers {
		if a.at.Before(now.Add(-24 * time.Hour)) {
			delete(m.answers, k)
		}
	}
}

func (m *model) byExpiry(which func(*food) bool) (list []*food) {
	for _, d := range m.donations {
		if which(d) {
			list = append(list, d)
		}
	}
	slices.SortFunc(list, func(a, b *food) int {
		if c := a.Expires.Compare(b.Expires); c != 0 {
			return c
		}
		return strings.Compare(a.ID, b.ID)
	})
	return list
}

func (d *food) open() bool { return d.Status == "AVAILABLE" || d.Status == "CLAIMED" }

func (d *food) said() said { return said{ID: d.ID, Status: d.Status, Version: d.Version} }

// award adds a row to the ledger and returns what it brought.
func (m *model) award(id, who, why string, points int) int {
	row := [3]string{id, who, why}
	if m.karma[row] != 0 {
		return 0
	}
	before := m.points(who)
	m.karma[row] = points
	for _, bound := range []int{10, 50, 150, 300, 500} {
		// Karma that falls and rises again earns no badge anew.
		if badge := [2]any{who, bound}; before < bound && before+points >= bound && !m.badges[badge] {
			m.badges[badge] = true
			m.note("badge_earned", id, who, who)
		}
	}
	return points
}

// lost takes away what food earned that reached nobody.
func (m *model) lost(d *food) {
	delete(m.karma, [3]string{d.ID, d.Donor, "create"})
	delete(m.karma, [3]string{d.ID, d.Claimer, "claim"})
}

func (m *model) points(who string) (sum int) {
	for row, points := range m.karma {
		if row[1] == who {
			sum += points
		}
	}
	return sum
}

// load is what an NGO has claimed today, there where it is, and still holds.
func (m *model) load(who string, now time.Time) (sum float64) {
	day := func(at time.Time) string { return at.In(m.place).Format(time.DateOnly) }
	unit := m.accounts[who].Unit
	for _, d := range m.donations {
		if d.Claimer == who && (d.Status == "CLAIMED" || d.Status == "PICKED_UP") && day(d.Claimed) == day(now) &&
			(unit == "" || strings.EqualFold(unit, d.Unit)) {
			sum += d.Quantity
		}
	}
	return sum
}

// wire is a time as clients see it.
func wire(at time.Time) string { return at.UTC().Format("2006-01-02T15:04:05.000Z") }
