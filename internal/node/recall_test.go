package node_test

import (
	"database/sql"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"

	"larder/api"
	"larder/internal/account"
	"larder/internal/testkit"
	"larder/internal/testkit/pgtest"
)

// Who comes back after a restart is served from what the node recalled when it
// started, though nobody can read the log: P-8.
func TestRestartRecallsWhatIsMissed(t *testing.T) {
	options := testkit.Options{Database: pgtest.Database(t)}
	n := testkit.Start(t, options)
	donor, u := n.User(account.Donor), n.User(account.Admin)
	was, _ := n.Watch(u)
	was.Abort()
	missed := n.Donate(donor, nil)
	if err := n.Stop(); err != nil {
		t.Fatal(err)
	}
	n = testkit.Start(t, options)
	db, err := sql.Open("pgx", options.Database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer tx.Rollback() //nolint:errcheck // it ends the lock
	if _, err := tx.ExecContext(t.Context(), `LOCK TABLE events IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	s, err := n.Open(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Abort()
	if err := s.Join("/donations", map[string]string{"token": u.Token, "pid": was.PID, "offset": was.Offset}); err != nil {
		t.Fatal(err)
	}
	if ready := testkit.Expect[api.FeedReady](n, s, api.EventFeedReady); !ready.Recovered || s.ID != was.ID {
		t.Fatalf("back: %+v as %s, want %s", ready, s.ID, was.ID)
	}
	if d := testkit.Expect[api.DonationCreated](n, s, api.EventDonationCreated); d.ID != missed.ID {
		t.Errorf("missed %s, want %s", d.ID, missed.ID)
	}
}
