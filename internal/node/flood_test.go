package node_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/store"
	"larder/internal/testkit"
)

// flood lists donations that expire at the same moment and returns their ids in
// the order in which they are to be heard of, and the moment.
func flood(n *testkit.Node, donor *testkit.User) (ids []string, due time.Time) {
	due = time.Now().Add(2 * time.Second).Truncate(time.Second).UTC()
	n.Update(func(ctx context.Context, tx *store.Tx) error {
		for i := range floodSize {
			d := donation.Donation{
				ID: fmt.Sprintf("flood-%05d", i), Name: "Rolls", Description: "Half is rye", FoodType: "bakery", Quantity: 5, Unit: "kg",
				PreparationTime: due.Add(-time.Hour), ExpiryTime: due, Address: "1 High St", Status: donation.Available,
				DonorID: donor.ID, DonorName: donor.Name, Version: 1, CreatedAt: due.Add(-time.Minute), UpdatedAt: due.Add(-time.Minute),
			}
			if err := tx.InsertDonation(ctx, d); err != nil {
				return err
			}
			ids = append(ids, d.ID)
		}
		return nil
	})
	if late := time.Now(); late.After(due) {
		due = late // they were listed too late: counted from when they are there
	}
	return ids, due
}

// hear reads the expiry of all, in order, each once, and returns how long after
// due the last was heard.
func hear(tb testing.TB, n *testkit.Node, s *testkit.Socket, ids []string, due time.Time) time.Duration {
	tb.Helper()
	last := ""
	for i, id := range ids {
		got := testkit.Expect[api.DonationStatusUpdated](n, s, api.EventDonationStatusUpdated)
		if got.DonationID != id || got.Status != "EXPIRED" || got.Version != 2 || got.Position <= last {
			tb.Fatalf("event %d: got %+v, want the expiry of %s after position %s", i, got, id, last)
		}
		last = got.Position
	}
	return time.Since(due)
}

// All of 10,000 donations (2,000 under the race detector) that expire in one second are written down, and a live
// client hears of each once, in order.
func TestFloodOfExpiries(t *testing.T) {
	n := testkit.Start(t, testkit.Options{})
	donor := n.User(account.Donor)
	s, _ := n.Watch(n.User(account.Admin))
	ids, due := flood(n, donor)
	took := hear(t, n, s, ids, due)
	t.Logf("%d expiries written down and heard of %v after their moment", floodSize, took)
	if list := testkit.Must[[]api.Donation](n, n.Get("/donations?status=AVAILABLE,CLAIMED", ""), 200); len(list) != 0 {
		t.Errorf("%d donations have not expired", len(list))
	}
}

// BenchmarkFloodOfExpiries says how long after the moment the last of 10,000
// expiries is heard by a live client: not above 2 s.
func BenchmarkFloodOfExpiries(b *testing.B) {
	var took time.Duration
	for range b.N {
		n := testkit.Start(b, testkit.Options{})
		donor := n.User(account.Donor)
		s, _ := n.Watch(n.User(account.Admin))
		ids, due := flood(n, donor)
		took += hear(b, n, s, ids, due)
		if err := n.Stop(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(took.Seconds()/float64(b.N), "s/flood")
	b.ReportMetric(0, "ns/op")
}
