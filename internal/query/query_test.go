package query_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/geo"
	"larder/internal/public"
	"larder/internal/query"
	"larder/internal/store"
)

// world is a service on a new store with the accounts donor, ngo and admin.
type world struct {
	*query.Service
	t     *testing.T
	ctx   context.Context
	store *store.Store
	path  string // of the database
	start time.Time
}

func newWorld(t *testing.T) *world {
	t.Helper()
	path := filepath.Join(t.TempDir(), "larder.db")
	st, err := store.Open(t.Context(), "sqlite:"+path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	if _, err := st.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	w := &world{Service: query.NewService(st, time.UTC), t: t, ctx: t.Context(), store: st, path: path, start: time.Now().Truncate(time.Millisecond).UTC()}
	w.update(func(tx *store.Tx) error {
		for _, a := range []account.Account{{ID: "donor", Role: account.Donor}, {ID: "ngo", Role: account.NGO}, {ID: "admin", Role: account.Admin}} {
			a.Email, a.Name, a.Verified, a.Active, a.CreatedAt = a.ID+"@example.org", a.ID, a.ID != "ngo", true, w.start
			if err := tx.InsertAccount(w.ctx, a, ""); err != nil {
				return err
			}
		}
		return nil
	})
	return w
}

func (w *world) update(fn func(*store.Tx) error) {
	w.t.Helper()
	if err := w.store.Update(w.ctx, fn); err != nil {
		w.t.Fatalf("Update: %v", err)
	}
}

// add adds a donation at a place with its record.
func (w *world) add(id string, lat, lng float64, change ...func(*donation.Donation)) {
	w.t.Helper()
	d := donation.Donation{
		ID: id, Name: id, FoodType: "x", Quantity: 1, Unit: "kg", PreparationTime: w.start, ExpiryTime: w.start.Add(24 * time.Hour),
		Latitude: lat, Longitude: lng, Status: donation.Available, DonorID: "donor", DonorName: "d", Version: 1, CreatedAt: w.start, UpdatedAt: w.start,
	}
	for _, c := range change {
		c(&d)
	}
	w.update(func(tx *store.Tx) error {
		if err := tx.InsertDonation(w.ctx, d); err != nil {
			return err
		}
		_, err := tx.Append(w.ctx, eventlog.Draft{Type: "donation.created", Subject: id, Version: 1, Audience: eventlog.Audience{Everyone: true}, Payload: []byte(`{}`), At: w.start})
		return err
	})
}

// append adds a record for an audience.
func (w *world) append(a eventlog.Audience, payload string) {
	w.t.Helper()
	w.update(func(tx *store.Tx) error {
		_, err := tx.Append(w.ctx, eventlog.Draft{Type: "x", Subject: "s", Audience: a, Payload: []byte(payload), At: w.start})
		return err
	})
}

// cut removes the records up to seq, as retention does.
func (w *world) cut(seq int64) {
	w.t.Helper()
	err := w.store.Update(w.ctx, func(tx *store.Tx) error {
		_, _, err := tx.Prune(w.ctx, time.Now().Add(time.Hour), int(seq))
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) list(f query.ListFilter) (ids []string, next string) {
	w.t.Helper()
	list, next, err := w.Donations(w.ctx, f)
	if err != nil {
		w.t.Fatalf("Donations: %v", err)
	}
	for _, d := range list {
		ids = append(ids, d.ID)
		if (d.Distance != nil) != (f.Near != nil) {
			w.t.Errorf("donation %s: distance %v, place %v", d.ID, d.Distance, f.Near)
		}
	}
	return ids, next
}

func TestDistance(t *testing.T) {
	for name, tc := range map[string]struct {
		lat1, lng1, lat2, lng2 float64
		want, within           float64 // km
	}{
		"nowhere":               {50.0755, 14.4378, 50.0755, 14.4378, 0, 1e-9},
		"London to Paris":       {51.5074, -0.1278, 48.8566, 2.3522, 343.6, 0.5},
		"New York to London":    {40.7128, -74.0060, 51.5074, -0.1278, 5570, 3},
		"Sydney to Santiago":    {-33.8688, 151.2093, -33.4489, -70.6693, 11_340, 15},
		"over the date line":    {0, 179.5, 0, -179.5, 111.195, 0.01},
		"Fiji, over the line":   {-16.8, 179.9, -16.8, -179.9, 21.29, 0.05},
		"over the north pole":   {89.9, 0, 89.9, 180, 22.239, 0.01},
		"pole to pole":          {90, 0, -90, 0, 20_015.1, 0.1},
		"antipodes":             {10, 20, -10, -160, 20_015.1, 0.1},
		"a degree of latitude":  {0, 0, 1, 0, 111.195, 0.01},
		"a degree at 60° north": {60, 10, 60, 11, 55.6, 0.05},
		"the pole has no east":  {90, 0, 90, 123, 0, 1e-9},
	} {
		there, back := geo.Distance(tc.lat1, tc.lng1, tc.lat2, tc.lng2), geo.Distance(tc.lat2, tc.lng2, tc.lat1, tc.lng1)
		if there < tc.want-tc.within || there > tc.want+tc.within || there != back {
			t.Errorf("%s: got %.3f there and %.3f back, want %.3f ± %g", name, there, back, tc.want, tc.within)
		}
	}
}

func TestRadius(t *testing.T) {
	w := newWorld(t)
	for id, at := range map[string][2]float64{
		"prague": {50.0755, 14.4378}, "kladno": {50.1473, 14.1029}, "brno": {49.1951, 16.6068}, "same-latitude": {50.0755, 24.4378},
		"fiji-east": {-16.8, -179.95}, "fiji-west": {-16.8, 179.95}, "pole-0": {89.95, 0}, "pole-180": {89.95, 180}, "south": {-90, 0}, "null": {0, 0},
	} {
		w.add(id, at[0], at[1])
	}
	for name, tc := range map[string]struct {
		near geo.Area
		want string
	}{
		"5 km of Prague":          {geo.Area{Lat: 50.0755, Lng: 14.4378, RadiusKm: query.DefaultRadius}, "prague"},
		"30 km of Prague":         {geo.Area{Lat: 50.0755, Lng: 14.4378, RadiusKm: 30}, "prague kladno"},
		"200 km of Prague":        {geo.Area{Lat: 50.0755, Lng: 14.4378, RadiusKm: 200}, "prague kladno brno"},
		"a bit less than Kladno":  {geo.Area{Lat: 50.0755, Lng: 14.4378, RadiusKm: 25.1}, "prague"},
		"over the date line east": {geo.Area{Lat: -16.8, Lng: 179.99, RadiusKm: 12}, "fiji-west fiji-east"},
		"over the date line west": {geo.Area{Lat: -16.8, Lng: -180, RadiusKm: 12}, "fiji-west fiji-east"},
		"over the pole":           {geo.Area{Lat: 89.95, Lng: 90, RadiusKm: 12}, "pole-0 pole-180"},
		"at the pole":             {geo.Area{Lat: 90, Lng: 77, RadiusKm: 6}, "pole-0 pole-180"},
		"south pole":              {geo.Area{Lat: -89.999, Lng: 10, RadiusKm: 1}, "south"},
		"zero, zero":              {geo.Area{RadiusKm: 1}, "null"},
		"nothing there":           {geo.Area{Lat: 30, Lng: 30, RadiusKm: 100}, ""},
		"the whole earth":         {geo.Area{Lat: 1, Lng: 1, RadiusKm: 20_040}, "prague kladno brno same-latitude fiji-east fiji-west pole-0 pole-180 south null"},
		"no radius":               {geo.Area{Lat: 50.0755, Lng: 14.4378}, "prague"},
	} {
		got, _ := w.list(query.ListFilter{Near: &tc.near})
		if want := strings.Fields(tc.want); !sameSet(got, want) {
			t.Errorf("%s: got %v, want %v", name, got, want)
		}
	}
	list, _, err := w.Donations(w.ctx, query.ListFilter{Near: &geo.Area{Lat: 50.0755, Lng: 14.4378, RadiusKm: 30}})
	if err != nil || len(list) != 2 {
		t.Fatalf("Donations: %d, %v", len(list), err)
	}
	for _, d := range list {
		if want := geo.Distance(50.0755, 14.4378, d.Latitude, d.Longitude); *d.Distance != want {
			t.Errorf("distance of %s: got %v, want %v", d.ID, *d.Distance, want)
		}
	}
}

func sameSet(a, b []string) bool {
	count := map[string]int{}
	for _, x := range a {
		count[x]++
	}
	for _, x := range b {
		count[x]--
	}
	for _, n := range count {
		if n != 0 {
			return false
		}
	}
	return true
}

func TestPages(t *testing.T) {
	w := newWorld(t)
	const total = 23
	for i := range total {
		w.add(fmt.Sprintf("d%02d", (i*5)%total), 50, float64(i%2)*10, func(d *donation.Donation) {
			d.CreatedAt = w.start.Add(time.Duration(i/6) * time.Millisecond) // many at one moment
		})
	}
	for name, f := range map[string]query.ListFilter{
		"everywhere": {}, "a status": {Statuses: []donation.Status{donation.Available}},
		"near": {Near: &geo.Area{Lat: 50, Lng: 0, RadiusKm: 10}},
	} {
		want, next := w.list(f)
		if next != "" {
			t.Errorf("%s: the whole list has a next page", name)
		}
		for _, size := range []int{1, 2, 7, len(want) - 1, len(want), len(want) + 1} {
			f.Limit, f.After = size, ""
			var got []string
			for {
				page, next := w.list(f)
				got = append(got, page...)
				if len(page) > size || (next != "" && len(page) != size) {
					t.Fatalf("%s by %d: a page of %d, next %q", name, size, len(page), next)
				}
				if f.After = next; next == "" {
					break
				}
			}
			if !cmp.Equal(got, want) {
				t.Errorf("%s by %d:\n got %v\nwant %v", name, size, got, want)
			}
		}
	}
	// What is listed meanwhile neither shifts the next page nor shows in it.
	first, next := w.list(query.ListFilter{Limit: 5})
	w.add("new", 50, 0, func(d *donation.Donation) { d.CreatedAt = w.start.Add(time.Hour) })
	second, _ := w.list(query.ListFilter{Limit: 5, After: next})
	whole, _ := w.list(query.ListFilter{Limit: 11})
	if want := whole[1:]; !cmp.Equal(append(first, second...), want) {
		t.Errorf("pages with a donation in between:\n got %v %v\nwant %v", first, second, want)
	}
	if list, _, err := w.Donations(w.ctx, query.ListFilter{Statuses: []donation.Status{donation.Cancelled}}); list == nil || len(list) != 0 || err != nil {
		t.Errorf("an empty list: got %v, %v, want an empty list and no nil", list, err)
	}
}

func TestCursorsOfOthers(t *testing.T) {
	w := newWorld(t)
	w.add("d1", 0, 0)
	for _, cursor := range []string{"x", "====", "bm90aGluZw", "LmQx", "MTIuIA==", strings.Repeat("A", 10_000), "\x00", "MTI"} {
		list, _, err := w.Donations(w.ctx, query.ListFilter{After: cursor})
		if !errors.Is(err, query.ErrCursor) || list != nil || len(err.Error()) > 150 {
			t.Errorf("cursor %.20q: got %v, %v, want ErrCursor", cursor, list, err)
		}
	}
}

func TestOverdueIsNotListedAsAvailable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.add("short", 0, 0, func(d *donation.Donation) { d.ExpiryTime = w.start.Add(time.Hour) })
		w.add("long", 0, 0)
		available := query.ListFilter{Statuses: []donation.Status{donation.Available}}
		<-time.After(time.Hour - time.Millisecond)
		if got, _ := w.list(available); !sameSet(got, []string{"short", "long"}) {
			t.Errorf("before the second: got %v", got)
		}
		<-time.After(time.Millisecond)
		if got, _ := w.list(available); !sameSet(got, []string{"long"}) {
			t.Errorf("at the second, before the clock has written it down: got %v, want long", got)
		}
		d, err := w.Donation(w.ctx, "short")
		if err != nil {
			t.Fatal(err)
		}
		if got := public.Donation(d).Status; got != "EXPIRED" {
			t.Errorf("status shown: got %s, want EXPIRED", got)
		}
		// A view shows what it is given, so that a repeated answer stays the same.
		d.Status = donation.Available
		if got := public.Donation(d).Status; got != "AVAILABLE" {
			t.Errorf("view of a stored answer: got %s, want AVAILABLE", got)
		}
	})
}

func TestHistory(t *testing.T) {
	w := newWorld(t)
	w.add("d1", 0, 0, func(d *donation.Donation) {
		d.Status, d.ClaimedByID, d.VolunteerID, d.PickedUpBy, d.DeliveredBy, d.AssignedVolunteerID = donation.Delivered, "ngo", "carrier", "carrier", "deliverer", "proposed"
	})
	w.update(func(tx *store.Tx) error {
		_, err := tx.Append(w.ctx, eventlog.Draft{Type: "second", Subject: "d1", Version: 2, Payload: []byte(`{}`), At: w.start})
		return err
	})
	w.add("d2", 0, 0)
	for id, want := range map[string]bool{
		"donor": true, "ngo": true, "carrier": true, "deliverer": true, "proposed": true, "stranger": false, "": false,
	} {
		recs, _, err := w.History(w.ctx, account.Account{ID: id, Role: account.NGO}, "d1", query.Paging{})
		if want && (err != nil || len(recs) != 2 || recs[0].Version != 1 || recs[1].Version != 2) {
			t.Errorf("for %q: got %v, %v, want two records, oldest first", id, recs, err)
		}
		if !want && !errors.Is(err, query.ErrNotParty) {
			t.Errorf("for %q: got %v, want ErrNotParty", id, err)
		}
	}
	if recs, _, err := w.History(w.ctx, account.Account{ID: "x", Role: account.Admin}, "d1", query.Paging{}); err != nil || len(recs) != 2 {
		t.Errorf("for an admin: got %d, %v", len(recs), err)
	}
	if _, _, err := w.History(w.ctx, account.Account{Role: account.Admin}, "nothing", query.Paging{}); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("of nothing: got %v, want ErrNotFound", err)
	}
	if _, err := w.Donation(w.ctx, "nothing"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("Donation: got %v, want ErrNotFound", err)
	}
}

func TestProfileAndLists(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.update(func(tx *store.Tx) error {
			a, err := tx.Account(w.ctx, "ngo")
			if err != nil {
				return err
			}
			a.Capacity, a.CapacityUnit = new(10.0), "kg"
			return tx.UpdateAccount(w.ctx, a)
		})
		w.add("d1", 0, 0, func(d *donation.Donation) {
			d.Status, d.ClaimedByID, d.ClaimedAt, d.Quantity = donation.Claimed, "ngo", &w.start, 4
		})
		w.update(func(tx *store.Tx) error {
			_, err := tx.AwardKarma(w.ctx, "d1", account.Award{AccountID: "ngo", Reason: account.ReasonClaim}, w.start)
			return err
		})
		p, err := w.Profile(w.ctx, "ngo")
		if err != nil || p.ID != "ngo" || p.Karma != 10 || p.IntakeLoad != 4 {
			t.Errorf("profile: got %+v, %v", p, err)
		}
		<-time.After(24 * time.Hour)
		if p, err := w.Profile(w.ctx, "ngo"); err != nil || p.IntakeLoad != 0 {
			t.Errorf("profile of the next day: load %g, %v, want 0", p.IntakeLoad, err)
		}
		if _, err := w.Profile(w.ctx, "nobody"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("profile of nobody: got %v, want ErrNotFound", err)
		}
		pending, _, err := w.PendingNGOs(w.ctx, query.Paging{})
		if err != nil || len(pending) != 1 || pending[0].ID != "ngo" {
			t.Errorf("pending NGOs: got %v, %v", pending, err)
		}
		if all, _, err := w.Users(w.ctx, query.Paging{}); err != nil || len(all) != 3 {
			t.Errorf("users: got %d, %v", len(all), err)
		}
	})
}
