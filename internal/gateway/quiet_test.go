package gateway_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/eventlog"
	"larder/internal/fanout"
	"larder/internal/store"
	"larder/internal/testkit"
)

// A client whose view is quiet on a busy board knows where the stream is, and comes
// back from there; one with the whole feed hears enough: P-23.
func TestQuietViewsAreToldWhereTheStreamIs(t *testing.T) {
	n := testkit.Start(t, testkit.Options{})
	donor, u := n.User(account.Donor), n.User(account.Admin)
	whole, _ := n.Watch(u)
	quiet, _ := n.Watch(u)
	if _, _, err := subscribe(quiet, 1, api.FeedSubscribe{Area: circle(50, 14, 5)}); err != nil {
		t.Fatal(err)
	}
	before := quiet.Offset
	n.Update(func(ctx context.Context, tx *store.Tx) error {
		drafts := make([]eventlog.Draft, fanout.RingRecords/2)
		for i := range drafts {
			drafts[i] = eventlog.Draft{Type: "x", Audience: eventlog.Audience{Users: []string{"somebody"}}, Payload: json.RawMessage(`{}`), At: time.Now()}
		}
		_, err := tx.Append(ctx, drafts...)
		return err
	})
	mark := testkit.Expect[api.FeedPosition](n, quiet, api.EventFeedPosition)
	if quiet.Offset != mark.Position || mark.Position <= before || mark.Position > testkit.Later(t, before, fanout.RingRecords/2) {
		t.Errorf("told %s with offset %s after %s", mark.Position, quiet.Offset, before)
	}
	quiet.Abort()
	missed := n.Donate(donor, map[string]any{"latitude": 50.0, "longitude": 14.0})
	b, ready, err := back(t.Context(), n, u, quiet.PID, quiet.Offset)
	if err != nil || !ready.Recovered || ready.Position != mark.Position {
		t.Fatalf("back: %+v, %v", ready, err)
	}
	if d := testkit.Expect[api.DonationCreated](n, b, api.EventDonationCreated); d.ID != missed.ID {
		t.Errorf("missed %s, want %s", d.ID, missed.ID)
	}
	testkit.Expect[api.DonationCreated](n, whole, api.EventDonationCreated)
}
