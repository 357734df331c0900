package auth

import (
	"sync"
	"time"
)

// Limits of logins: honest use (a family behind one address that mistypes) stays
// far below, guessing does not.
const (
	perAddress     = 30 // attempts from one address in addressWindow
	addressWindow  = time.Minute
	failuresPerKey = 10 // failures of one account in failureWindow
	failureWindow  = 15 * time.Minute
	maxTracked     = 10_000 // addresses or accounts remembered; more are swept
)

// Attempts limits logins by address and failures by account.
type Attempts struct {
	addresses *Limit

	mu       sync.Mutex             // guards accounts
	accounts map[string][]time.Time // by fingerprint of the e-mail
}

// NewAttempts returns an Attempts that remembers nothing yet.
func NewAttempts() *Attempts {
	return &Attempts{addresses: NewLimit(perAddress, addressWindow), accounts: map[string][]time.Time{}}
}

// Allow counts one attempt and returns nil, or a *RateError. An attempt that goes on counts as a failure of the account until
// Succeeded or Withdraw: of many guesses at once no more are looked at than one
// after another.
func (a *Attempts) Allow(address, emailKey string, now time.Time) error {
	if err := a.addresses.Allow(address, now); err != nil {
		return err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	sweep(a.accounts, failureWindow, now)
	key := fingerprint(emailKey)
	failures := recent(a.accounts[key], failureWindow, now)
	if len(failures) >= failuresPerKey {
		return &RateError{RetryAfter: failures[0].Add(failureWindow).Sub(now)}
	}
	a.accounts[key] = append(failures, now)
	return nil
}

// Withdraw takes back that an attempt counts as a failure: nobody looked at the
// password.
func (a *Attempts) Withdraw(emailKey string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	key := fingerprint(emailKey)
	if f := a.accounts[key]; len(f) > 0 {
		a.accounts[key] = f[:len(f)-1]
	}
}

// Succeeded forgets the failures of an account.
func (a *Attempts) Succeeded(emailKey string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.accounts, fingerprint(emailKey))
}

// recent is the part of times, oldest first, that lies within window.
func recent(times []time.Time, window time.Duration, now time.Time) []time.Time {
	for len(times) > 0 && now.Sub(times[0]) >= window {
		times = times[1:]
	}
	return times
}

// sweep keeps a map bounded: what can no longer refuse anybody goes, and under
// attack everything goes before memory does.
func sweep(m map[string][]time.Time, window time.Duration, now time.Time) {
	if len(m) < maxTracked {
		return
	}
	for k, times := range m {
		if len(recent(times, window, now)) == 0 {
			delete(m, k)
		}
	}
	if len(m) >= maxTracked {
		clear(m)
	}
}
