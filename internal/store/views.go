package store

import (
	"context"
	"time"
)

// SaveView keeps what a session of an account has narrowed its feed to, instead
// of what it had before. It is no part of the log: nobody else is told.
func (t *Tx) SaveView(ctx context.Context, session, accountID, view string, at time.Time) error {
	_, err := t.tx.ExecContext(ctx, `INSERT INTO views (session, account_id, view, at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (session) DO UPDATE SET account_id = $2, view = $3, at = $4`, session, accountID, view, millis(at))
	return unavailable(err)
}

// SessionView returns what SaveView kept for a session of that account, or
// ErrNotFound.
func (t *Tx) SessionView(ctx context.Context, session, accountID string) (view string, err error) {
	err = t.tx.QueryRowContext(ctx, `SELECT view FROM views WHERE session = $1 AND account_id = $2`,
		session, accountID).Scan(&view)
	return view, unavailable(err)
}
