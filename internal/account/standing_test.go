package account_test

import (
	"errors"
	"testing"
	"time"

	"larder/internal/account"
)

// Log-outs of one second: each refuses every token before it, and none after it.
func TestLogOutWithinASecond(t *testing.T) {
	now := moment(t, "2026-11-02T10:00:00.7Z")
	var a account.Account
	for i, at := range []time.Time{now, now.Add(50 * time.Millisecond), now.Add(200 * time.Millisecond), now.Add(time.Hour)} {
		issued := a.IssuedAt(at).Truncate(time.Second) // what a token can say
		if !a.Accepts(issued) {
			t.Errorf("%d: a new token is refused", i)
		}
		if a.LogOut(at); a.Accepts(issued) || a.Accepts(time.Time{}) {
			t.Errorf("%d: a token is good after the log-out", i)
		}
		if next := a.IssuedAt(at).Truncate(time.Second); !a.Accepts(next) {
			t.Errorf("%d: who signs in after the log-out is refused", i)
		}
	}
}

func TestKeepAdmin(t *testing.T) {
	for name, tc := range map[string]struct {
		role   account.Role
		active bool
		admins int
		want   error
	}{
		"the last":        {account.Admin, true, 1, account.ErrLastAdmin},
		"one of two":      {account.Admin, true, 2, nil},
		"a suspended one": {account.Admin, false, 1, nil},
		"a donor":         {account.Donor, true, 1, nil},
	} {
		if err := account.KeepAdmin(account.Account{Role: tc.role, Active: tc.active}, tc.admins); !errors.Is(err, tc.want) {
			t.Errorf("%s: got %v, want %v", name, err, tc.want)
		}
	}
}
