package movein

import (
	"context"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/store"
)

// Lengths are those of api.Registration and api.ProfileUpdate.
const (
	maxName  = 200
	maxPhone = 50
	maxPlace = 500
	maxEmail = 254
)

func (m *mover) users(ctx context.Context, tx *store.Tx, batch []*entry) (wrote bool, err error) {
	var ids []string
	for _, e := range batch {
		ids = append(ids, e.id)
	}
	known, err := tx.AccountsByID(ctx, ids...)
	if err != nil {
		return false, err
	}
	for _, e := range batch {
		if !e.ok() {
			continue
		}
		old, _ := strconv.Atoi(e.Text("karmaPoints")) // a number, or nothing
		if a, ok := known[e.id]; ok {
			e.here("")
			m.people[e.id] = &person{Account: a, oldKarma: old}
			if key := account.EmailKey(a.Email); a.Role == account.Admin && m.named(key) {
				m.admins[key] = true
			}
			continue
		}
		a, hash := m.user(e)
		if !e.ok() {
			continue
		}
		if err := m.email(ctx, tx, e, &a); err != nil {
			return wrote, err
		}
		m.admin(e, &a)
		m.people[a.ID] = &person{Account: a, oldKarma: old}
		if !m.Apply {
			continue
		}
		if err := tx.InsertAccount(ctx, a, hash); err != nil {
			return wrote, err
		}
		wrote = true
		if link := certificate(e); link != "" {
			if err := tx.SaveCertificate(ctx, a.ID, store.Certificate{URL: link}, a.CreatedAt); err != nil {
				return wrote, err
			}
		}
	}
	return wrote, nil
}

// certificate is the address at which an account's certificate lies. It stays there.
func certificate(e *entry) string {
	if link := e.Text("certificateUrl"); donation.WebURL(link) {
		return link
	}
	return ""
}

// user is the account of a row, with its password hash. Its e-mail and its being an
// admin are not looked at.
func (m *mover) user(e *entry) (a account.Account, hash string) {
	role, err := account.ParseRole(e.Text("role"))
	if err != nil {
		e.refuse("its role is none of ours", e.Text("role"))
		return a, ""
	}
	created := e.timeOr("createdAt", m.Now)
	a = account.Account{
		ID: e.id, Email: strings.TrimSpace(e.Text("email")), Role: role,
		// Only an NGO waits for an admin here.
		Verified: role != account.NGO || e.yes("isVerified", false), Active: e.yes("isActive", true),
		OrganizationName: e.text("organizationName", maxName), OrganizationType: e.text("organizationType", maxName),
		Phone: e.text("phone", maxPhone), Address: e.text("address", maxPlace), CapacityUnit: e.text("capacityUnit", maxName),
		VehicleType: e.text("vehicleType", maxName), VehicleNumber: e.text("vehicleNumber", maxPhone),
		Available: e.yes("isAvailable", false), CreatedAt: created, UpdatedAt: e.timeOr("updatedAt", created),
	}
	local, _, _ := strings.Cut(a.Email, "@")
	other := a.OrganizationName
	if strings.TrimSpace(other) == "" {
		other = local
	}
	a.Name = e.required("name", maxName, other)
	if lat, lng, ok := e.place(); ok {
		a.Latitude, a.Longitude = &lat, &lng
	} else if !e.Null("latitude") || !e.Null("longitude") {
		e.fix("its coordinates are no place, and were left out", e.Text("latitude")+", "+e.Text("longitude"))
	}
	if n, ok := e.number("dailyIntakeCapacity"); ok && n >= 0 {
		a.Capacity = &n
	} else if !e.Null("dailyIntakeCapacity") {
		e.fix("its capacity is no amount, and was left out", e.Text("dailyIntakeCapacity"))
	}
	hash = e.Text("password")
	if !strings.HasPrefix(hash, "$2") || len(hash) != 60 {
		hash = ""
		e.fix("its password hash is no bcrypt: it has no password now", "")
	}
	if link := e.Text("certificateUrl"); link != "" && certificate(e) == "" {
		e.fix("the address of its certificate is none of the web, and was left out", link)
	}
	return a, hash
}

// place returns coordinates that exist.
func (e *entry) place() (lat, lng float64, ok bool) {
	lat, okLat := e.number("latitude")
	lng, okLng := e.number("longitude")
	return lat, lng, okLat && okLng && math.Abs(lat) <= 90 && math.Abs(lng) <= 180
}

// email gives an account its e-mail. One whose e-mail belongs to somebody here, also
// in other letters, or is none, gets one that nobody can write to, and is suspended:
// with the e-mail of another its old tokens would open that other's account.
func (m *mover) email(ctx context.Context, tx *store.Tx, e *entry, a *account.Account) error {
	was, key := a.Email, account.EmailKey(a.Email)
	switch _, _, err := tx.Credentials(ctx, a.Email); {
	case err == nil || m.emails[key]:
		a.Email, a.Active = "duplicate-"+a.ID+"@duplicate.invalid", false
		e.fix("its e-mail, compared without case, is that of another account: suspended, its e-mail is duplicate-<id>@duplicate.invalid", was)
	case !errors.Is(err, store.ErrNotFound) && !errors.Is(err, store.ErrText):
		return err
	case !account.ValidEmail(was) || len(was) > maxEmail:
		a.Email, a.Active = "unknown-"+a.ID+"@unknown.invalid", false
		e.fix("its e-mail is none: suspended, its e-mail is unknown-<id>@unknown.invalid", strconv.Quote(was))
	}
	m.emails[account.EmailKey(a.Email)] = true
	return nil
}

// named says whether the operator has named the e-mail of that key.
func (m *mover) named(key string) bool {
	_, named := m.admins[key]
	return named
}

// admin keeps an admin whom the operator has named, and makes a donor of any other:
// whoever registered there could make himself one.
func (m *mover) admin(e *entry, a *account.Account) {
	if a.Role != account.Admin {
		return
	}
	if key := account.EmailKey(a.Email); m.named(key) {
		m.admins[key] = true
		return
	}
	a.Role = account.Donor
	e.fix("was ADMIN, which anybody could make himself there: DONOR now (--admins keeps one, larder user role makes one)", a.Email)
}

// karma writes down what accounts had beyond what donations prove.
func (m *mover) karma(ctx context.Context) error {
	tally := m.report.table("karma")
	var ids []string
	for id, p := range m.people {
		if !p.Deleted {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	total := 0
	for some := range slices.Chunk(ids, batchSize) {
		err := m.transaction(ctx, func(tx *store.Tx) (wrote bool, err error) {
			for _, id := range some {
				p := m.people[id]
				rest := max(0, p.oldKarma-p.proven)
				if rest > 0 {
					total += rest
					tally.Counts[Taken]++
				}
				if !m.Apply {
					continue
				}
				changed, err := tx.ImportKarma(ctx, id, rest, p.CreatedAt)
				if err != nil {
					return wrote, err
				}
				wrote = wrote || changed
			}
			return wrote, nil
		})
		if err != nil {
			return err
		}
	}
	if total > 0 {
		m.report.note("karma: %d points of %d accounts are more than their donations prove; each has them in one row with the reason import", total, tally.Counts[Taken])
	}
	return nil
}
