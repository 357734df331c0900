package store

import (
	"context"
	"encoding/json"
	"time"
)

// Answer is what a command with an idempotency key was answered.
type Answer struct {
	Caller      string // account id, or a fixed word for commands without a caller
	Key         string
	Fingerprint string // of the command: the same key with another command is refused
	Body        json.RawMessage
	At          time.Time
}

// Answer returns the stored answer for a key, or ErrNotFound.
func (t *Tx) Answer(ctx context.Context, caller, key string) (Answer, error) {
	a := Answer{Caller: caller, Key: key}
	var body string
	var at int64
	err := t.tx.QueryRowContext(ctx, `SELECT fingerprint, answer, at FROM answers WHERE caller = $1 AND key = $2`,
		caller, key).Scan(&a.Fingerprint, &body, &at)
	a.Body, a.At = json.RawMessage(body), fromMillis(at)
	return a, unavailable(err)
}

// SaveAnswer stores the answer for a key that has none yet.
func (t *Tx) SaveAnswer(ctx context.Context, a Answer) error {
	_, err := t.tx.ExecContext(ctx, `INSERT INTO answers (caller, key, fingerprint, answer, at) VALUES ($1, $2, $3, $4, $5)`,
		a.Caller, a.Key, a.Fingerprint, string(a.Body), millis(a.At))
	return unavailable(err)
}

// ForgetAnswers removes answers from before the given time, the oldest first and at
// most limit, and returns how many there were.
func (t *Tx) ForgetAnswers(ctx context.Context, before time.Time, limit int) (int64, error) {
	return t.remove(ctx, `DELETE FROM answers WHERE (caller, key) IN (
		SELECT caller, key FROM answers WHERE at < $1 ORDER BY at LIMIT $2)`, millis(before), limit)
}
