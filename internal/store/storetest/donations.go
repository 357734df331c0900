package storetest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/geo"
	"larder/internal/store"
)

func fullDonation(id string) donation.Donation {
	d := newDonation(id)
	d.Description, d.Address, d.SpecialInstructions = "Half of it is rye", "1 High St", "Ring twice"
	d.Hygiene = []byte(`{"gloves":true,"temperature":4}`)
	d.ImageURLs = []string{"https://example.org/a.jpg?x=1&y=2", "http://example.org/b"}
	d.Status, d.ClaimedByID, d.ClaimedAt = donation.Delivered, "ngo", new(start.Add(time.Minute))
	d.EstimatedPickupTime, d.AssignedVolunteerID, d.VolunteerID = new(start.Add(time.Hour)), "v1", "v2"
	d.PickedUpAt, d.PickedUpBy = new(start.Add(2*time.Hour)), "v2"
	d.DeliveredAt, d.DeliveredBy = new(start.Add(3*time.Hour)), "ngo"
	d.CancelReason, d.Version, d.UpdatedAt = "none", 4, start.Add(3*time.Hour)
	d.NearExpiryAt = new(start.Add(5 * time.Hour))
	d.Latitude, d.Longitude, d.Quantity = -89.999999999, 179.123456789012, 0.1
	return d
}

func donationFields(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor))
	full, bare := fullDonation("full"), newDonation("bare")
	empty := newDonation("empty")
	empty.ImageURLs = []string{}
	empty.Hygiene = []byte(`{}`)
	addDonations(t, st, full, bare, empty)
	for _, want := range []donation.Donation{full, bare, empty} {
		if diff := gocmp.Diff(want, getDonation(t, st, want.ID), equal); diff != "" {
			t.Errorf("donation %s (-want +got):\n%s", want.ID, diff)
		}
	}
	if got := getDonation(t, st, "bare"); got.Hygiene != nil {
		t.Errorf("hygiene that was not given: got %q, want nil", got.Hygiene)
	}
	// What a command can change is changed, and the rest is not.
	changed := fullDonation("bare")
	changed.Version = 2
	update(t, st, func(tx *store.Tx) error { return tx.UpdateDonation(t.Context(), changed) })
	want := bare
	want.Status, want.ClaimedByID, want.ClaimedAt = changed.Status, changed.ClaimedByID, changed.ClaimedAt
	want.EstimatedPickupTime, want.AssignedVolunteerID, want.VolunteerID = changed.EstimatedPickupTime, changed.AssignedVolunteerID, changed.VolunteerID
	want.PickedUpAt, want.PickedUpBy, want.DeliveredAt, want.DeliveredBy = changed.PickedUpAt, changed.PickedUpBy, changed.DeliveredAt, changed.DeliveredBy
	want.CancelReason, want.Version, want.UpdatedAt = changed.CancelReason, 2, changed.UpdatedAt
	if diff := gocmp.Diff(want, getDonation(t, st, "bare"), equal); diff != "" {
		t.Errorf("donation after the update (-want +got):\n%s", diff)
	}
	// And taken back: the columns become empty again.
	back := bare
	back.Version = 3
	update(t, st, func(tx *store.Tx) error { return tx.UpdateDonation(t.Context(), back) })
	if diff := gocmp.Diff(back, getDonation(t, st, "bare"), equal); diff != "" {
		t.Errorf("donation after the release (-want +got):\n%s", diff)
	}
}

func donationTexts(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor))
	for i, text := range []string{
		"Chléb a žemle", "خبز", "饅頭", "🥖👩‍👩‍👧‍👦", `O'Neil "the" baker`, `back\slash`, "line\nbreak\ttab\r", "'; DROP TABLE donations; --",
		"$1 ? :name @x", "  spaces around  ", "e\u0301 is not \u00e9", "\u202eright to left", "100 %", "%s", "null", "NULL", "0x00", "\uffff\ufffd",
	} {
		d := newDonation(fmt.Sprintf("d%d", i))
		d.Name, d.Description, d.FoodType, d.Unit, d.Address, d.SpecialInstructions, d.DonorName, d.CancelReason = text, text, text, text, text, text, text, text
		d.ImageURLs = []string{text, ""}
		addDonations(t, st, d)
		if diff := gocmp.Diff(d, getDonation(t, st, d.ID), equal); diff != "" {
			t.Errorf("text %q (-want +got):\n%s", text, diff)
		}
	}
}

func donationConflict(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor))
	addDonations(t, st, newDonation("d1"))
	save := func(id string, version int64, by string) error {
		d := newDonation(id)
		d.Version, d.Status, d.ClaimedByID = version, donation.Claimed, by
		return st.Update(t.Context(), func(tx *store.Tx) error { return tx.UpdateDonation(t.Context(), d) })
	}
	if err := save("d1", 2, "first"); err != nil {
		t.Fatalf("the next version: %v", err)
	}
	for name, version := range map[string]int64{"the same version again": 2, "an older one": 1, "one too far": 4} {
		wantErr(t, name, save("d1", version, "second"), store.ErrConflict)
	}
	wantErr(t, "a donation that is not there", save("d2", 2, "second"), store.ErrConflict)
	if got := getDonation(t, st, "d1"); got.ClaimedByID != "first" || got.Version != 2 {
		t.Errorf("after the conflicts: claimed by %q, version %d, want first, 2", got.ClaimedByID, got.Version)
	}
}

// donationOneWinner has everybody read the same version first and only then
// write, in another transaction.
func donationOneWinner(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor))
	addDonations(t, st, newDonation("d1"))
	read := getDonation(t, st, "d1")
	var mu sync.Mutex
	won := 0
	var group sync.WaitGroup
	for i := range 16 {
		group.Go(func() {
			d := read
			d.Version, d.Status, d.ClaimedByID = 2, donation.Claimed, fmt.Sprintf("ngo%d", i)
			err := st.Update(t.Context(), func(tx *store.Tx) error { return tx.UpdateDonation(t.Context(), d) })
			if err != nil && !errors.Is(err, store.ErrConflict) {
				t.Errorf("writer %d: %v", i, err)
			}
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				won++
			}
		})
	}
	group.Wait()
	if won != 1 {
		t.Errorf("%d writers won, want 1", won)
	}
}

func list(ctx context.Context, t rapid.TB, st *store.Store, f store.DonationFilter, limit int) (got []donation.Donation) {
	t.Helper()
	err := st.View(ctx, func(tx *store.Tx) error {
		for d, err := range tx.Donations(ctx, f) {
			if err != nil {
				return err
			}
			if got = append(got, d); len(got) == limit {
				break
			}
		}
		return nil
	})
	if err != nil {
		t.Fatalf("Donations: %v", err)
	}
	return got
}

func ids(list []donation.Donation) []string {
	got := make([]string, 0, len(list))
	for _, d := range list {
		got = append(got, d.ID)
	}
	return got
}

// donationFilter compares the list with a model of it, for random filters, whole
// and page by page. Many donations share a moment of creation.
func donationFilter(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor))
	var all []donation.Donation
	for i := range 60 {
		d := newDonation(fmt.Sprintf("d%02d", (i*37)%60))
		d.CreatedAt = start.Add(time.Duration(i/7) * time.Millisecond)
		d.Status = donation.Statuses()[i%6]
		d.Latitude = float64(i*6)/2 - 90 // -90 to 87
		d.Longitude = float64(i*17%360) - 180
		all = append(all, d)
	}
	addDonations(t, st, all...)
	ctx := t.Context()
	slices.SortFunc(all, func(a, b donation.Donation) int {
		return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), cmp.Compare(b.ID, a.ID))
	})
	rapid.Check(t, func(t *rapid.T) {
		f := store.DonationFilter{
			Statuses: rapid.SliceOfN(rapid.SampledFrom(donation.Statuses()), 0, 7).Draw(t, "statuses"),
			Expect:   rapid.IntRange(0, 9).Draw(t, "expect"), // the parts it is read in end within a moment, too
		}
		for range rapid.IntRange(0, 2).Draw(t, "boxes") {
			b := geo.Box{MinLat: rapid.Float64Range(-90, 90).Draw(t, "south"), MinLng: rapid.Float64Range(-180, 180).Draw(t, "west")}
			b.MaxLat = b.MinLat + rapid.Float64Range(0, 90).Draw(t, "height")
			b.MaxLng = b.MinLng + rapid.Float64Range(0, 180).Draw(t, "width")
			f.Boxes = append(f.Boxes, b)
		}
		var want []string
		for _, d := range all {
			status := len(f.Statuses) == 0 || slices.Contains(f.Statuses, d.Status)
			inside := len(f.Boxes) == 0 || slices.ContainsFunc(f.Boxes, func(b geo.Box) bool {
				return d.Latitude >= b.MinLat && d.Latitude <= b.MaxLat && d.Longitude >= b.MinLng && d.Longitude <= b.MaxLng
			})
			if status && inside {
				want = append(want, d.ID)
			}
		}
		if got := ids(list(ctx, t, st, f, 0)); !slices.Equal(got, want) {
			t.Fatalf("whole list of %+v:\n got %v\nwant %v", f, got, want)
		}
		var paged []string
		for size := rapid.IntRange(1, 20).Draw(t, "page"); ; {
			page := list(ctx, t, st, f, size)
			if len(page) == 0 || len(paged) > len(all) {
				break
			}
			paged = append(paged, ids(page)...)
			last := page[len(page)-1]
			f.Before = &store.ListCursor{CreatedAt: last.CreatedAt, ID: last.ID}
		}
		if !slices.Equal(paged, want) {
			t.Fatalf("page by page:\n got %v\nwant %v", paged, want)
		}
	})
	// A cursor of an entry that is not in the list, or not any more, is a place too.
	before := &store.ListCursor{CreatedAt: start.Add(time.Millisecond), ID: "d"}
	for _, d := range list(ctx, t, st, store.DonationFilter{Before: before}, 0) {
		if d.CreatedAt.After(start) {
			t.Errorf("before %v: got %s of %v", before, d.ID, d.CreatedAt)
		}
	}
}

func donationBreak(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor))
	addDonations(t, st, newDonation("d1"), newDonation("d2"), newDonation("d3"))
	ctx := t.Context()
	for range 20 { // more often than there are connections
		if got := list(ctx, t, st, store.DonationFilter{}, 1); len(got) != 1 {
			t.Fatalf("got %d donations, want 1", len(got))
		}
		// And inside one transaction the next statement works.
		update(t, st, func(tx *store.Tx) error {
			for _, err := range tx.Due(t.Context(), start.AddDate(1, 0, 0), 10) {
				if err != nil {
					return err
				}
				break
			}
			_, err := tx.Append(t.Context(), draft("s", 1))
			return err
		})
	}
}

func donationDue(t *testing.T, st *store.Store) {
	addAccounts(t, st, newAccount("donor", account.Donor))
	next := func() (at time.Time, err error) {
		err = st.View(t.Context(), func(tx *store.Tx) error {
			at, err = tx.NextExpiry(t.Context())
			return err
		})
		return at, err
	}
	if _, err := next(); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("next expiry of nothing: got %v, want ErrNotFound", err)
	}
	for i, s := range donation.Statuses() {
		for k := range 2 {
			d := newDonation(fmt.Sprintf("%s-%d", s, k))
			d.Status, d.ExpiryTime = s, start.Add(time.Duration(i-10*k)*time.Second)
			addDonations(t, st, d)
		}
	}
	due := func(now time.Time, limit int) (got []string) {
		view(t, st, func(tx *store.Tx) error {
			for d, err := range tx.Due(t.Context(), now, limit) {
				if err != nil {
					return err
				}
				got = append(got, d.ID)
			}
			return nil
		})
		return got
	}
	for name, tc := range map[string]struct {
		now   time.Time
		limit int
		want  []string
	}{
		"before":       {start.Add(-11 * time.Second), 10, nil},
		"the second":   {start.Add(-10 * time.Second), 10, []string{"AVAILABLE-1"}},
		"not yet":      {start.Add(-9*time.Second - time.Millisecond), 10, []string{"AVAILABLE-1"}},
		"both":         {start.Add(time.Hour), 10, []string{"AVAILABLE-1", "CLAIMED-1", "AVAILABLE-0", "CLAIMED-0"}},
		"with a limit": {start.Add(time.Hour), 3, []string{"AVAILABLE-1", "CLAIMED-1", "AVAILABLE-0"}},
	} {
		if got := due(tc.now, tc.limit); !slices.Equal(got, tc.want) {
			t.Errorf("%s: got %v, want %v", name, got, tc.want)
		}
	}
	if at, err := next(); err != nil || !at.Equal(start.Add(-10*time.Second)) {
		t.Errorf("next expiry: got %v, %v, want %v", at, err, start.Add(-10*time.Second))
	}
}
