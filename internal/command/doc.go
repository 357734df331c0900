// Package command runs commands: each once, in one transaction.
//
// A command loads the account that gives it and what it is about, lets the pure
// rules of donation, account and voice decide, saves the outcome and appends the
// records of what happened. Rows and records commit together. Only then, and
// only as a hint, the tailer is woken; no code here ever holds a socket.
//
// # Idempotency
//
// A command may carry a key. The same key, caller and command give the same
// answer, once: the answer, be it a result or a refusal by the rules, is stored
// in the transaction that did the work. Only what package account refuses, the
// caller's rights, is asked anew each time. The same key with another command is
// refused with ErrKeyReused. Answers are kept for a day (KeyLife).
//
// # Errors
//
// A refusal by the rules is a *donation.Refusal or an error of package account.
// Who has said as much as an account may in an hour gets an *auth.RateError, which is
// never stored. ErrKeyReused, store.ErrNotFound and store.ErrEmailTaken speak for themselves;
// all else is the store's failure.
//
// A Service may be used from many goroutines.
package command
