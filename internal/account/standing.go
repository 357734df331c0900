package account

import (
	"errors"
	"time"
)

// ErrLastAdmin keeps a Larder from ending up with nobody who may run it.
var ErrLastAdmin = errors.New("this is the last active admin: make another one first")

// KeepAdmin refuses to take the last active admin his rights. admins is how many
// active ones there are, target included.
func KeepAdmin(target Account, admins int) error {
	if target.Role == Admin && target.Active && admins <= 1 {
		return ErrLastAdmin
	}
	return nil
}

// ChangeRole gives a another role. It is the operator's word, so that an NGO made
// like this is verified.
func (a *Account) ChangeRole(to Role) { a.Role, a.Verified = to, true }

// LogOut refuses every token that a has now. Tokens know the whole second of their
// issue: one of the same second is refused as well, and IssuedAt puts the next
// one behind it.
func (a *Account) LogOut(now time.Time) {
	after := now.UTC().Truncate(time.Second)
	if !after.After(a.TokensAfter) {
		after = a.TokensAfter.Add(time.Second) // the tokens since the last time, too
	}
	a.TokensAfter = after
}

// IssuedAt is the issue that a token of a, made now, has to name so that Accepts
// it: after a log-out of the same second it is the next one.
func (a Account) IssuedAt(now time.Time) time.Time {
	if a.Accepts(now) {
		return now
	}
	return a.TokensAfter.Add(time.Second)
}

// Accepts says whether a token that was issued then is still one of a's.
func (a Account) Accepts(issued time.Time) bool {
	return a.TokensAfter.IsZero() || issued.Truncate(time.Second).After(a.TokensAfter)
}

// Delete makes a a row that says nothing about anybody and can do nothing.
// History goes on pointing to it, and its e-mail is free for another account.
func (a *Account) Delete(now time.Time) {
	a.LogOut(now)
	*a = Account{
		ID: a.ID, Email: "deleted-" + a.ID + "@deleted.invalid", Name: "Deleted account", Role: a.Role,
		TokensAfter: a.TokensAfter, Deleted: true, CreatedAt: a.CreatedAt, UpdatedAt: now,
	}
}
