package gateway_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"larder/api"
	"larder/internal/account"
	"larder/internal/command"
	"larder/internal/testkit"
	"larder/internal/testkit/pgtest"
)

// lockViews holds up whoever looks what a feed was narrowed to, until release.
// waiting returns when somebody is.
func lockViews(t *testing.T, address string) (waiting, release func()) {
	t.Helper()
	db, err := sql.Open("pgx", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := tx.ExecContext(t.Context(), `LOCK TABLE views IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	waiting = func() {
		t.Helper()
		for n := 0; n == 0; {
			err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'views'::regclass`).Scan(&n)
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return waiting, func() {
		t.Helper()
		if err := tx.Rollback(); err != nil {
			t.Fatal(err)
		}
	}
}

// Whatever an account loses while one of its sockets comes back, the socket is
// told nothing of what it missed, nor of what happens then: P-4, P-8.
func TestRevokedWhileComingBack(t *testing.T) {
	for name, tc := range map[string]struct {
		lose func(ctx context.Context, c *command.Service, u *testkit.User) error
		code api.Code // of the connect_error; empty: the connection is closed
	}{
		"suspended": {func(ctx context.Context, c *command.Service, u *testkit.User) error {
			_, err := c.SetActive(ctx, u.Email, false)
			return err
		}, api.CodeAccountSuspended},
		"logged out": {func(ctx context.Context, c *command.Service, u *testkit.User) error {
			_, err := c.LogOut(ctx, u.Email)
			return err
		}, api.CodeTokenInvalid},
		"deleted": {func(ctx context.Context, c *command.Service, u *testkit.User) error {
			_, err := c.Delete(ctx, u.Email)
			return err
		}, api.CodeTokenInvalid},
		"role changed": {func(ctx context.Context, c *command.Service, u *testkit.User) error {
			_, err := c.SetRole(ctx, u.Email, account.Donor)
			return err
		}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			address := pgtest.Database(t)
			n := testkit.Start(t, testkit.Options{Database: address})
			donor, u := n.User(account.Donor), n.User(account.NGO)
			first, _ := n.Watch(u)
			first.Abort()
			n.Donate(donor, nil)
			bystander, _ := n.Watch(donor)
			waiting, release := lockViews(t, address)
			s, err := n.Open(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			body, _ := json.Marshal(map[string]string{"token": u.Token, "pid": first.PID, "offset": first.Offset})
			if err := s.Packet("0/donations," + string(body)); err != nil {
				t.Fatal(err)
			}
			waiting()
			if err := tc.lose(t.Context(), beside(t, n), u); err != nil {
				t.Fatal(err)
			}
			n.Donate(donor, nil)
			testkit.Expect[api.DonationCreated](n, bystander, api.EventDonationCreated) // this node has delivered the loss, too
			release()
			text, err := s.Text()
			if tc.code == "" {
				if err == nil {
					t.Errorf("got %s, want the end", text)
				}
				return
			}
			if err != nil || !strings.HasPrefix(text, "44/donations,") || !strings.Contains(text, `"code":"`+string(tc.code)+`"`) {
				t.Errorf("got %s, %v, want a connect_error with %s", text, err, tc.code)
			}
			_ = s.Conn.SetReadDeadline(time.Now().Add(100 * time.Millisecond))
			if text, err = s.ReadText(); err == nil {
				t.Errorf("after it: got %s", text)
			}
		})
	}
}
