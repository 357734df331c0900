package storetest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/store"
	"larder/internal/voice"
)

// people adds the accounts and donations that the tests of this file speak of.
func people(t *testing.T, st *store.Store) {
	t.Helper()
	org := newAccount("org", account.NGO)
	org.OrganizationName = "Table & <Co>"
	addAccounts(t, st, newAccount("donor", account.Donor), newAccount("other", account.Donor), newAccount("ngo", account.NGO), org)
	other := newDonation("d4")
	other.DonorID = "other"
	addDonations(t, st, newDonation("d1"), newDonation("d2"), newDonation("d3"), other)
}

func feedback(id, donationID, donorID string, rating int) voice.Feedback {
	return voice.Feedback{
		ID: id, DonationID: donationID, DonorID: donorID, NGOID: "ngo", Rating: rating, Comment: "🥕 'fresh'\n", CreatedAt: start,
	}
}

func addFeedback(t *testing.T, st *store.Store, f voice.Feedback) (added bool) {
	t.Helper()
	update(t, st, func(tx *store.Tx) (err error) {
		added, err = tx.InsertFeedback(t.Context(), f)
		return err
	})
	return added
}

func feedbackOnce(t *testing.T, st *store.Store) {
	people(t, st)
	first := feedback("f1", "d1", "donor", 5)
	if !addFeedback(t, st, first) || addFeedback(t, st, feedback("f2", "d1", "donor", 1)) {
		t.Error("the first feedback on a donation is kept, and no second")
	}
	view(t, st, func(tx *store.Tx) error {
		got, err := tx.Feedback(t.Context(), "d1")
		if diff := cmp.Diff([]voice.Feedback{first}, got); diff != "" {
			t.Errorf("feedback on d1 (-want +got):\n%s", diff)
		}
		none, err2 := tx.Feedback(t.Context(), "d2")
		if err2 != nil || len(none) != 0 {
			t.Errorf("feedback on d2: got %v, %v", none, err2)
		}
		return err
	})
	var mu sync.Mutex
	var group sync.WaitGroup
	won := 0
	for i := range 10 {
		group.Go(func() {
			err := st.Update(t.Context(), func(tx *store.Tx) error {
				added, err := tx.InsertFeedback(t.Context(), feedback(fmt.Sprint("many", i), "d2", "donor", 3))
				mu.Lock()
				defer mu.Unlock()
				if added {
					won++
				}
				return err
			})
			if err != nil {
				t.Errorf("InsertFeedback: %v", err)
			}
		})
	}
	group.Wait()
	if won != 1 {
		t.Errorf("%d feedbacks at once were kept, want 1", won)
	}
}

func ratings(t *testing.T, st *store.Store) {
	people(t, st)
	if got := getDonation(t, st, "d1").DonorTrustScore; got != nil {
		t.Errorf("score of a donor whom nobody has rated: got %v, want none", *got)
	}
	for _, f := range []voice.Feedback{feedback("f1", "d1", "donor", 5), feedback("f2", "d2", "donor", 4), feedback("f3", "d3", "donor", 4), feedback("f4", "d4", "other", 1)} {
		addFeedback(t, st, f)
	}
	view(t, st, func(tx *store.Tx) error {
		got, err := tx.Ratings(t.Context(), "donor", "ngo", "nobody", "other")
		if err != nil {
			return err
		}
		want := map[string]voice.Ratings{"donor": {Sum: 13, Count: 3}, "other": {Sum: 1, Count: 1}}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("ratings (-want +got):\n%s", diff)
		}
		none, err := tx.Ratings(t.Context())
		if err != nil || len(none) != 0 {
			t.Errorf("ratings of nobody: got %v, %v", none, err)
		}
		unrated := newDonation("d5")
		unrated.DonorID = "nobody"
		list := []donation.Donation{newDonation("d1"), unrated, newDonation("d2")}
		if err := tx.ScoreDonors(t.Context(), list); err != nil {
			return err
		}
		for i, want := range []*float64{new(4.3), nil, new(4.3)} {
			if diff := cmp.Diff(want, list[i].DonorTrustScore); diff != "" {
				t.Errorf("score in a list, entry %d (-want +got):\n%s", i, diff)
			}
		}
		return tx.ScoreDonors(t.Context(), nil)
	})
	if diff := cmp.Diff(new(4.3), getDonation(t, st, "d1").DonorTrustScore); diff != "" {
		t.Errorf("score of one donation (-want +got):\n%s", diff)
	}
}

func accountsByID(t *testing.T, st *store.Store) {
	people(t, st)
	view(t, st, func(tx *store.Tx) error {
		got, err := tx.AccountsByID(t.Context(), "org", "nobody", "donor", "org")
		if err != nil {
			return err
		}
		want := map[string]account.Account{"org": getAccount(t, st, "org"), "donor": getAccount(t, st, "donor")}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("accounts (-want +got):\n%s", diff)
		}
		for n := 1; n <= 40; n++ { // however many there are, all are looked at
			ids := slices.Repeat([]string{"nobody"}, n)
			ids[n-1] = "org"
			if got, err := tx.AccountsByID(t.Context(), ids...); err != nil || len(got) != 1 {
				t.Errorf("%d ids: got %d accounts, %v", n, len(got), err)
			}
		}
		none, err := tx.AccountsByID(t.Context())
		if len(none) != 0 {
			t.Errorf("no ids: got %v", none)
		}
		return err
	})
}

func flag(id, donationID, by string) voice.Flag {
	f := voice.Flag{
		ID: id, DonationID: donationID, DonationName: "Bread", Reason: "mould", Status: voice.Flagged,
		By: voice.Author{ID: by, Email: by + "@example.org", Name: "Name of " + by}, CreatedAt: start, UpdatedAt: start,
	}
	if by == "org" {
		f.By.Name = "Table & <Co>"
	}
	return f
}

func addFlag(t *testing.T, st *store.Store, f voice.Flag) (added bool) {
	t.Helper()
	update(t, st, func(tx *store.Tx) (err error) {
		added, err = tx.InsertFlag(t.Context(), f)
		return err
	})
	return added
}

func flagsKept(t *testing.T, st *store.Store) {
	people(t, st)
	for id, want := range map[voice.Flag]bool{flag("g1", "d1", "ngo"): true, flag("g3", "d1", "org"): true, flag("g4", "d2", "ngo"): true} {
		if got := addFlag(t, st, id); got != want {
			t.Errorf("flag %s: added %v", id.ID, got)
		}
	}
	if addFlag(t, st, flag("g2", "d1", "ngo")) {
		t.Error("a second open flag of an account on a donation was kept")
	}
	changed := flag("g1", "d1", "ngo")
	for _, status := range []voice.FlagStatus{voice.Escalated, voice.Rejected} {
		changed.Status, changed.Note, changed.UpdatedAt = status, "looked at it", start.Add(time.Hour)
		update(t, st, func(tx *store.Tx) error { return tx.UpdateFlag(t.Context(), changed) })
		added := addFlag(t, st, flag("g5", "d1", "ngo"))
		if want := status == voice.Rejected; added != want {
			t.Errorf("another flag while the first is %s: added %v", status, added)
		}
	}
	view(t, st, func(tx *store.Tx) error {
		got, err := tx.Flag(t.Context(), "g1")
		if diff := cmp.Diff(changed, got); diff != "" {
			t.Errorf("flag after the update (-want +got):\n%s", diff)
		}
		_, missing := tx.Flag(t.Context(), "nothing")
		wantErr(t, "Flag", missing, store.ErrNotFound)
		list, err2 := tx.Flags(t.Context(), store.VoiceFilter{Limit: 10})
		if err2 != nil {
			return err2
		}
		want := []voice.Flag{flag("g5", "d1", "ngo"), flag("g4", "d2", "ngo"), flag("g3", "d1", "org"), changed}
		if diff := cmp.Diff(want, list); diff != "" {
			t.Errorf("flags (-want +got):\n%s", diff)
		}
		return err
	})
	wantErr(t, "UpdateFlag", st.Update(t.Context(), func(tx *store.Tx) error {
		return tx.UpdateFlag(t.Context(), flag("nothing", "d1", "ngo"))
	}), store.ErrNotFound)
}

func ticket(id, by string, at time.Time) voice.Ticket {
	return voice.Ticket{
		ID: id, By: flag("", "", by).By, Subject: "Where is my bread?", Description: "O'Neil \"asks\"\n🥖", Priority: voice.High,
		Status: voice.Open, CreatedAt: at, UpdatedAt: at,
	}
}

func addTickets(t *testing.T, st *store.Store, list ...voice.Ticket) {
	t.Helper()
	update(t, st, func(tx *store.Tx) error {
		for _, k := range list {
			if err := tx.InsertTicket(t.Context(), k); err != nil {
				return err
			}
		}
		return nil
	})
}

func ticketsKept(t *testing.T, st *store.Store) {
	people(t, st)
	addTickets(t, st, ticket("k1", "ngo", start), ticket("k2", "org", start), ticket("k3", "ngo", start.Add(time.Second)))
	changed := ticket("k1", "ngo", start)
	changed.Status, changed.Note, changed.UpdatedAt = voice.Resolved, "Here it is.", start.Add(time.Hour)
	update(t, st, func(tx *store.Tx) error { return tx.UpdateTicket(t.Context(), changed) })
	view(t, st, func(tx *store.Tx) error {
		got, err := tx.Ticket(t.Context(), "k1")
		if diff := cmp.Diff(changed, got); diff != "" {
			t.Errorf("ticket after the update (-want +got):\n%s", diff)
		}
		_, missing := tx.Ticket(t.Context(), "nothing")
		wantErr(t, "Ticket", missing, store.ErrNotFound)
		return err
	})
	wantErr(t, "UpdateTicket", st.Update(t.Context(), func(tx *store.Tx) error {
		return tx.UpdateTicket(t.Context(), ticket("nothing", "ngo", start))
	}), store.ErrNotFound)
	for name, tc := range map[string]struct {
		filter store.VoiceFilter
		want   []string
	}{
		"all, newest first":         {store.VoiceFilter{Limit: 10}, []string{"k3", "k2", "k1"}},
		"one account":               {store.VoiceFilter{AccountID: "ngo", Limit: 10}, []string{"k3", "k1"}},
		"nobody":                    {store.VoiceFilter{AccountID: "donor", Limit: 10}, nil},
		"the first page":            {store.VoiceFilter{Limit: 2}, []string{"k3", "k2"}},
		"the page after":            {store.VoiceFilter{Limit: 2, Before: &store.ListCursor{CreatedAt: start, ID: "k2"}}, []string{"k1"}},
		"the page after the newest": {store.VoiceFilter{Limit: 9, Before: &store.ListCursor{CreatedAt: start.Add(time.Second), ID: "k3"}}, []string{"k2", "k1"}},
		"after the last":            {store.VoiceFilter{Limit: 9, Before: &store.ListCursor{CreatedAt: start, ID: "k1"}}, nil},
		"one account's page":        {store.VoiceFilter{AccountID: "ngo", Limit: 9, Before: &store.ListCursor{CreatedAt: start, ID: "k2"}}, []string{"k1"}},
		"one ticket":                {store.VoiceFilter{ID: "k2", Limit: 10}, []string{"k2"}},
	} {
		view(t, st, func(tx *store.Tx) error {
			list, err := tx.Tickets(t.Context(), tc.filter)
			var got []string
			for _, k := range list {
				got = append(got, k.ID)
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("%s: got %v, want %v", name, got, tc.want)
			}
			return err
		})
	}
}

func ticketsDeleted(t *testing.T, st *store.Store) {
	people(t, st)
	addTickets(t, st, ticket("k1", "ngo", start), ticket("k2", "org", start), ticket("k3", "ngo", start))
	for range 2 {
		update(t, st, func(tx *store.Tx) error { return tx.DeleteTickets(t.Context(), "ngo") })
		view(t, st, func(tx *store.Tx) error {
			list, err := tx.Tickets(t.Context(), store.VoiceFilter{Limit: 10})
			if len(list) != 1 || list[0].ID != "k2" {
				t.Errorf("left: %+v, want k2", list)
			}
			return err
		})
	}
}

// voicesOfTheDeleted looks at what is left of somebody who has gone.
func voicesOfTheDeleted(t *testing.T, st *store.Store) {
	people(t, st)
	addTickets(t, st, ticket("k1", "ngo", start))
	addFlag(t, st, flag("g1", "d1", "ngo"))
	update(t, st, func(tx *store.Tx) error {
		a, err := tx.Account(t.Context(), "ngo")
		if err != nil {
			return err
		}
		a.Delete(start)
		if err := tx.ReleaseEmail(t.Context(), a); err != nil {
			return err
		}
		return tx.UpdateAccount(t.Context(), a)
	})
	view(t, st, func(tx *store.Tx) error {
		k, err := tx.Ticket(t.Context(), "k1")
		if err != nil {
			return err
		}
		f, err := tx.Flag(t.Context(), "g1")
		want := voice.Author{ID: "ngo", Email: "deleted-ngo@deleted.invalid", Name: "Deleted account"}
		if k.By != want || f.By != want {
			t.Errorf("authors: got %+v and %+v, want %+v", k.By, f.By, want)
		}
		return err
	})
}

func voicesSaid(t *testing.T, st *store.Store) {
	people(t, st)
	for i := range 5 {
		addTickets(t, st, ticket(fmt.Sprint("k", i), "ngo", start.Add(time.Duration(i)*time.Minute)))
	}
	addTickets(t, st, ticket("other", "org", start.Add(time.Hour)))
	addFlag(t, st, flag("g1", "d1", "ngo"))
	addFeedback(t, st, feedback("f1", "d1", "donor", 5))
	for name, tc := range map[string]struct {
		kind    voice.Kind
		account string
		after   time.Time
		limit   int
		minutes []int // after start
	}{
		"tickets":        {voice.KindTicket, "ngo", start.Add(-time.Hour), 10, []int{4, 3, 2, 1, 0}},
		"the newest":     {voice.KindTicket, "ngo", start.Add(-time.Hour), 2, []int{4, 3}},
		"after a moment": {voice.KindTicket, "ngo", start.Add(2 * time.Minute), 10, []int{4, 3}},
		"nobody":         {voice.KindTicket, "donor", start.Add(-time.Hour), 10, nil},
		"flags":          {voice.KindFlag, "ngo", start.Add(-time.Hour), 10, []int{0}},
		"feedback":       {voice.KindFeedback, "ngo", start.Add(-time.Hour), 10, []int{0}},
		"the donor's":    {voice.KindFeedback, "donor", start.Add(-time.Hour), 10, nil},
	} {
		view(t, st, func(tx *store.Tx) error {
			got, err := tx.Said(t.Context(), tc.kind, tc.account, tc.after, tc.limit)
			var want []time.Time
			for _, m := range tc.minutes {
				want = append(want, start.Add(time.Duration(m)*time.Minute))
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
			return err
		})
	}
}

func backlog(t *testing.T, st *store.Store) {
	look := func(want store.Backlog) {
		t.Helper()
		view(t, st, func(tx *store.Tx) error {
			got, err := tx.Backlog(t.Context())
			for _, p := range []*store.Pile{&got.NGOs, &got.Tickets, &got.Flags} {
				if p.Count == 0 {
					p.Newest = time.Time{}
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("backlog (-want +got):\n%s", diff)
			}
			return err
		})
	}
	people(t, st)
	look(store.Backlog{})
	waiting, gone, volunteer := newAccount("w", account.NGO), newAccount("x", account.NGO), newAccount("v", account.Volunteer)
	waiting.Verified, gone.Verified, gone.Deleted, volunteer.Verified = false, false, true, false
	waiting.CreatedAt, gone.CreatedAt = start.Add(time.Minute), start.Add(time.Hour)
	addAccounts(t, st, waiting, gone, volunteer)
	closed := ticket("k3", "ngo", start.Add(time.Hour))
	closed.Status = voice.InProgress
	addTickets(t, st, ticket("k1", "ngo", start), ticket("k2", "ngo", start.Add(2*time.Minute)), closed)
	escalated, decided := flag("g1", "d1", "ngo"), flag("g2", "d2", "ngo")
	escalated.Status, decided.Status, decided.CreatedAt = voice.Escalated, voice.Approved, start.Add(time.Hour)
	addFlag(t, st, escalated)
	addFlag(t, st, decided)
	look(store.Backlog{
		NGOs: store.Pile{Count: 1, Newest: start.Add(time.Minute)}, Tickets: store.Pile{Count: 2, Newest: start.Add(2 * time.Minute)},
		Flags: store.Pile{Count: 1, Newest: start},
	})
}

// voiceTexts are statements of this file for textsRefused.
func voiceTexts(bad string) map[string]func(ctx context.Context, tx *store.Tx) error {
	return map[string]func(ctx context.Context, tx *store.Tx) error{
		"InsertFeedback": func(ctx context.Context, tx *store.Tx) error {
			f := feedback("f", "d", "donor", 3)
			f.Comment = bad
			_, err := tx.InsertFeedback(ctx, f)
			return err
		},
		"InsertFlag": func(ctx context.Context, tx *store.Tx) error {
			f := flag("g", "d", "donor")
			f.Reason = bad
			_, err := tx.InsertFlag(ctx, f)
			return err
		},
		"InsertTicket": func(ctx context.Context, tx *store.Tx) error {
			k := ticket("k", "donor", start)
			k.Subject = bad
			return tx.InsertTicket(ctx, k)
		},
		"UpdateTicket": func(ctx context.Context, tx *store.Tx) error {
			k := ticket("k", "donor", start)
			k.Note = bad
			return tx.UpdateTicket(ctx, k)
		},
		"AccountsByID": func(ctx context.Context, tx *store.Tx) error { _, err := tx.AccountsByID(ctx, bad); return err },
		"Tickets": func(ctx context.Context, tx *store.Tx) error {
			_, err := tx.Tickets(ctx, store.VoiceFilter{ID: bad, Limit: 1})
			return err
		},
	}
}
