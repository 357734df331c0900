package command

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/donation"
	"larder/internal/store"
)

// KeyLife is how long an idempotency key is remembered.
const KeyLife = 24 * time.Hour

// ErrKeyReused is a key that came before with another command.
var ErrKeyReused = errors.New("idempotency key was used for another request")

// Service runs commands on a store.
type Service struct {
	store     *store.Store
	passwords *auth.Passwords
	wake      func()
	place     *time.Location
}

// NewService returns a Service. wake is called after each commit; place is where
// the day of the daily capacity begins.
func NewService(st *store.Store, passwords *auth.Passwords, wake func(), place *time.Location) *Service {
	return &Service{store: st, passwords: passwords, wake: wake, place: place}
}

// By is who gives a command, and the key under which it may be repeated.
type By struct {
	AccountID string
	Key       string // empty: none
}

// answer is the stored form of what a command was answered: a result or a refusal.
type answer[T any] struct {
	Result  T
	Refusal *donation.Refusal `json:",omitempty"`
}

// now is the moment of a command, in the precision that is stored and sent.
func now() time.Time { return time.Now().UTC().Truncate(time.Millisecond) }

// execute runs fn once for the key of by. what names the command and input is
// what makes it this command and no other. fn must not write before it refuses.
// replayed says that the answer is that of an earlier run.
func execute[T any](ctx context.Context, s *Service, by By, what string, input any,
	fn func(tx *store.Tx) (T, error),
) (result T, replayed bool, err error) {
	var print string
	if by.Key != "" {
		if print, err = fingerprint(what, input); err != nil {
			return result, false, err
		}
	}
	var a answer[T]
	err = s.store.Update(ctx, func(tx *store.Tx) (err error) {
		a, replayed, err = recall[T](ctx, tx, by, print)
		if err != nil || replayed {
			return err
		}
		a, err = decide(tx, fn)
		if err != nil {
			return err
		}
		return remember(ctx, tx, by, print, a)
	})
	if err != nil {
		return result, false, err
	}
	if !replayed {
		s.wake()
	}
	if a.Refusal != nil {
		return result, replayed, a.Refusal
	}
	return a.Result, replayed, nil
}

// decide runs fn and turns a refusal into an answer, so that it can be stored.
func decide[T any](tx *store.Tx, fn func(tx *store.Tx) (T, error)) (a answer[T], err error) {
	a.Result, err = fn(tx)
	if r, ok := errors.AsType[*donation.Refusal](err); ok {
		return answer[T]{Refusal: r}, nil
	}
	return a, err
}

func recall[T any](ctx context.Context, tx *store.Tx, by By, print string) (a answer[T], found bool, err error) {
	if by.Key == "" {
		return a, false, nil
	}
	stored, err := tx.Answer(ctx, by.AccountID, by.Key)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return a, false, nil
	case err != nil:
		return a, false, err
	case stored.Fingerprint != print:
		return a, false, ErrKeyReused
	}
	if err := json.Unmarshal(stored.Body, &a); err != nil {
		return a, false, fmt.Errorf("read stored answer: %w", err)
	}
	return a, true, nil
}

func remember[T any](ctx context.Context, tx *store.Tx, by By, print string, a answer[T]) error {
	if by.Key == "" {
		return nil
	}
	body, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("store answer: %w", err)
	}
	return tx.SaveAnswer(ctx, store.Answer{Caller: by.AccountID, Key: by.Key, Fingerprint: print, Body: body, At: now()})
}

// fingerprint tells one command from another without keeping what it said. What
// JSON can't hold (NaN, torn JSON inside) no rule allows either: a refusal.
func fingerprint(what string, input any) (string, error) {
	body, err := json.Marshal(input)
	if err != nil {
		return "", &donation.Refusal{Code: donation.CodeValidation, Messages: []string{what + " holds a value that is not JSON"}}
	}
	sum := sha256.Sum256(append([]byte(what+"\n"), body...))
	return base64.RawURLEncoding.EncodeToString(sum[:]), nil
}

// actor loads the account that gives a command, with today's rights.
func actor(ctx context.Context, tx *store.Tx, id string) (account.Account, error) {
	a, err := tx.Account(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return a, account.ErrSuspended
	}
	if err == nil && !a.Active {
		err = account.ErrSuspended
	}
	return a, err
}
