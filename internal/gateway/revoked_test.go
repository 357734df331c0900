package gateway_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib"

	"larder/api"
	"larder/internal/account"
	"larder/internal/command"
	"larder/internal/testkit"
	"larder/internal/testkit/pgtest"
	"larder/internal/testkit/wire"
)

// lock holds up whoever reads a table, until release. waiting returns when somebody is.
func lock(t *testing.T, address, table string) (waiting, release func()) {
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
	if _, err := tx.ExecContext(t.Context(), `LOCK TABLE `+table+` IN ACCESS EXCLUSIVE MODE`); err != nil {
		t.Fatal(err)
	}
	waiting = func() {
		t.Helper()
		for n := 0; n == 0; {
			err := db.QueryRowContext(t.Context(), `SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = $1::regclass`, table).Scan(&n)
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
			waiting, release := lock(t, address, "views")
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

// What an account loses while one of its sockets narrows its feed, and is not in the
// stream, closes the socket, and not only when the snapshot has been read: P-4, P-23.
func TestRevokedWhileNarrowing(t *testing.T) {
	address := pgtest.Database(t)
	n := testkit.Start(t, testkit.Options{Database: address})
	u := n.User(account.NGO)
	s, _ := n.Watch(u)
	waiting, release := lock(t, address, "donations")
	defer release()
	if err := s.Emit(1, api.EventFeedSubscribe, api.FeedSubscribe{Area: circle(50, 14, 1)}); err != nil {
		t.Fatal(err)
	}
	waiting()
	if _, err := beside(t, n).LogOut(t.Context(), u.Email); err != nil {
		t.Fatal(err)
	}
	e, err := s.Next()
	if closed, ok := errors.AsType[*wire.Closed](err); !ok || closed.Reason != "logged out everywhere" {
		t.Errorf("got %s %s, %v, want the end", e.Name, e.Data, err)
	}
}
