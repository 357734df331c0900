package command

import (
	"context"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/store"
)

// What the operator does to an account, by its e-mail. An e-mail that nobody has is
// store.ErrNotFound; what would leave no active admin is account.ErrLastAdmin.
// What is so already changes nothing.

// SetRole gives an account another role.
func (s *Service) SetRole(ctx context.Context, email string, role account.Role) (account.Account, error) {
	return s.operate(ctx, "set role", email, func(tx *store.Tx, a *account.Account) (string, error) {
		if a.Role == role {
			return "", nil
		}
		if err := keepAdmin(ctx, tx, *a); err != nil {
			return "", err
		}
		a.ChangeRole(role)
		return eventlog.TypeAccountRole, nil
	})
}

// SetActive suspends an account or takes its suspension back.
func (s *Service) SetActive(ctx context.Context, email string, active bool) (account.Account, error) {
	return s.operate(ctx, "set active", email, func(tx *store.Tx, a *account.Account) (string, error) {
		if a.Active == active {
			return "", nil
		}
		if err := keepAdmin(ctx, tx, *a); err != nil {
			return "", err
		}
		if a.Active = active; active {
			return eventlog.TypeAccountRestored, nil
		}
		return eventlog.TypeAccountSuspended, nil
	})
}

// LogOut refuses all tokens that were issued to an account until now.
func (s *Service) LogOut(ctx context.Context, email string) (account.Account, error) {
	return s.operate(ctx, "log out", email, func(_ *store.Tx, a *account.Account) (string, error) {
		a.LogOut(now())
		return eventlog.TypeAccountLoggedOut, nil
	})
}

// Delete takes an account away: what it offers is cancelled, what it has claimed
// is released, its tickets go with it, and a row that says nothing about anybody is
// left for history. Its flags and feedback stay: they are about the food.
func (s *Service) Delete(ctx context.Context, email string) (account.Account, error) {
	return s.operate(ctx, "delete", email, func(tx *store.Tx, a *account.Account) (string, error) {
		if err := keepAdmin(ctx, tx, *a); err != nil {
			return "", err
		}
		if err := letGo(ctx, tx, *a); err != nil {
			return "", err
		}
		if err := tx.DeleteTickets(ctx, a.ID); err != nil {
			return "", err
		}
		a.Delete(now())
		return eventlog.TypeAccountDeleted, tx.ReleaseEmail(ctx, *a)
	})
}

// operate runs an operator's change; change returns the type of the record, or
// nothing when there is nothing to do.
func (s *Service) operate(ctx context.Context, what, email string,
	change func(tx *store.Tx, a *account.Account) (string, error),
) (account.Account, error) {
	a, _, err := execute(ctx, s, By{AccountID: account.SystemID}, what, email, func(tx *store.Tx) (account.Account, error) {
		a, _, err := tx.Credentials(ctx, email)
		if err == nil && a.Deleted {
			err = store.ErrNotFound
		}
		if err != nil {
			return a, err
		}
		record, err := change(tx, &a)
		if err != nil || record == "" {
			return a, err
		}
		return a, saveAccount(ctx, tx, record, &a)
	})
	return a, err
}

func keepAdmin(ctx context.Context, tx *store.Tx, a account.Account) error {
	n, err := tx.ActiveAdmins(ctx)
	if err != nil {
		return err
	}
	return account.KeepAdmin(a, n)
}

// letGo cancels and releases what an account has open, as its own command in the
// part that it has there: its role may be another by now. What is overdue is left
// to the clock.
func letGo(ctx context.Context, tx *store.Tx, a account.Account) error {
	open, err := all(ctx, tx, tx.OpenOf(ctx, a.ID))
	if err != nil {
		return err
	}
	at := now()
	for _, d := range open {
		by := account.Actor{ID: a.ID, Role: account.Donor, Verified: true, Active: true}
		c := donation.Command{Action: donation.Cancel, By: by, ByName: a.DisplayName(), Reason: "account deleted"}
		switch d.StatusAt(at) {
		case donation.Available:
		case donation.Claimed:
			c.Action, c.By.Role = donation.Release, account.NGO
		default:
			continue
		}
		if _, err := carryOut(ctx, tx, d, c, at); err != nil {
			return err
		}
	}
	return nil
}
