package auth

import (
	"context"
	"errors"
	"fmt"
	"time"

	"larder/internal/account"
	"larder/internal/store"
)

// ErrCredentials is a login with an unknown e-mail or a wrong password; nobody
// learns which.
var ErrCredentials = errors.New("e-mail or password is wrong")

// RateError is a login, or what else is limited, that came too soon.
type RateError struct{ RetryAfter time.Duration }

// Error says when to come back.
func (e *RateError) Error() string {
	return fmt.Sprintf("too many attempts, come back in %s", e.RetryAfter.Round(time.Second))
}

// Auth checks tokens and passwords against the accounts in the store.
type Auth struct {
	Tokens    *Tokens
	Passwords *Passwords
	attempts  *Attempts
	newcomers *Limit // registrations by address
	store     *store.Store
}

// Registrations of one address (P-57). A class that signs up together stays below.
const (
	registrationsPerAddress = 30
	registrationWindow      = 10 * time.Minute
)

// New returns an Auth on a store.
func New(st *store.Store, tokens *Tokens) *Auth {
	return &Auth{
		Tokens: tokens, Passwords: NewPasswords(), attempts: NewAttempts(),
		newcomers: NewLimit(registrationsPerAddress, registrationWindow), store: st,
	}
}

// Identity is the account behind a token, as it is now.
type Identity struct {
	Account   account.Account
	IssuedAt  time.Time // of the token; zero: it does not say
	ExpiresAt time.Time // of the token
}

// Authenticate returns the account behind a token: by its id, or by its e-mail
// when another backend issued the token under its own id. It returns one of the
// errors of this package, or the store's.
func (a *Auth) Authenticate(ctx context.Context, token string) (Identity, error) {
	c, err := a.Tokens.Verify(token)
	if err != nil {
		return Identity{}, err
	}
	var acc account.Account
	err = a.store.View(ctx, func(tx *store.Tx) error {
		acc, err = tx.Account(ctx, c.Subject)
		if errors.Is(err, store.ErrNotFound) && c.Email != "" {
			acc, _, err = tx.Credentials(ctx, c.Email)
		}
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound):
		return Identity{}, fmt.Errorf("%w: no such account", ErrTokenInvalid)
	case err != nil:
		return Identity{}, err
	}
	if err := stands(acc, c.IssuedAt); err != nil {
		return Identity{}, err
	}
	return Identity{Account: acc, IssuedAt: c.IssuedAt, ExpiresAt: c.ExpiresAt}, nil
}

// stands says why a token that was issued then is no longer one of the account's.
func stands(a account.Account, issued time.Time) error {
	switch {
	case a.Deleted:
		return fmt.Errorf("%w: no such account", ErrTokenInvalid)
	case !a.Active:
		return ErrSuspended
	case !a.Accepts(issued):
		return fmt.Errorf("%w: logged out since", ErrTokenInvalid)
	}
	return nil
}

// Recheck returns the account as it is now, for somebody whose token was verified
// before, or the error that Authenticate would return for the account's sake.
func (a *Auth) Recheck(ctx context.Context, accountID string, issued time.Time) (acc account.Account, err error) {
	err = a.store.View(ctx, func(tx *store.Tx) error {
		acc, err = tx.Account(ctx, accountID)
		return err
	})
	if errors.Is(err, store.ErrNotFound) {
		err = fmt.Errorf("%w: no such account", ErrTokenInvalid)
	}
	if err == nil {
		err = stands(acc, issued)
	}
	return acc, err
}

// Login returns the account with that e-mail and password. address is where the
// attempt comes from. The errors are ErrCredentials, *RateError, ErrSuspended
// (only after the right password) and the store's. An imported bcrypt hash is
// replaced on the way.
func (a *Auth) Login(ctx context.Context, email, password, address string) (account.Account, error) {
	key, now := account.EmailKey(email), time.Now()
	if err := a.attempts.Allow(address, key, now); err != nil {
		return account.Account{}, err
	}
	acc, err := a.check(ctx, email, password)
	switch {
	case errors.Is(err, ErrCredentials):
		return account.Account{}, err
	case err != nil:
		a.attempts.Withdraw(key)
		return account.Account{}, err
	}
	a.attempts.Succeeded(key)
	if !acc.Active {
		return account.Account{}, ErrSuspended
	}
	return acc, nil
}

// Admit counts a registration from an address and returns nil, or a *RateError. One
// that fails counts as well: it may ask which e-mails are known, and costs a hash.
func (a *Auth) Admit(address string) error { return a.newcomers.Allow(address, time.Now()) }

// check verifies the password without counting.
func (a *Auth) check(ctx context.Context, email, password string) (account.Account, error) {
	var acc account.Account
	var hash string
	err := a.store.View(ctx, func(tx *store.Tx) (err error) {
		acc, hash, err = tx.Credentials(ctx, email)
		return err
	})
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return account.Account{}, err
	}
	ok, outdated, err := a.Passwords.Verify(ctx, hash, password)
	if err != nil {
		return account.Account{}, err
	}
	if !ok {
		return account.Account{}, ErrCredentials
	}
	if outdated {
		return acc, a.rehash(ctx, acc.ID, password)
	}
	return acc, nil
}

func (a *Auth) rehash(ctx context.Context, id, password string) error {
	hash, err := a.Passwords.Hash(ctx, password)
	if err != nil {
		return err
	}
	return a.store.Update(ctx, func(tx *store.Tx) error { return tx.SetPasswordHash(ctx, id, hash) })
}
