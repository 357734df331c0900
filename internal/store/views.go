package store

import (
	"context"
	"time"
)

// MaxViews bounds the views that are kept of one account: it makes a new one with
// each connection, and mostly nobody says that one has gone for good.
const MaxViews = 50

// viewsAtOnce bounds how many go when one is saved: there may be many from before
// there was a bound.
const viewsAtOnce = 1000

// SaveView keeps what a session of an account has narrowed its feed to, instead
// of what it had before, and of the account's other views the newest. It is no
// part of the log: nobody else is told.
func (t *Tx) SaveView(ctx context.Context, session, accountID, view string, at time.Time) error {
	_, err := t.tx.ExecContext(ctx, `INSERT INTO views (session, account_id, view, at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (session) DO UPDATE SET account_id = $2, view = $3, at = $4`, session, accountID, view, millis(at))
	if err != nil {
		return unavailable(err)
	}
	_, err = t.remove(ctx, `DELETE FROM views WHERE session IN (SELECT session FROM views
		WHERE account_id = $1 AND session <> $2 ORDER BY at DESC LIMIT $3 OFFSET $4)`, accountID, session, viewsAtOnce, MaxViews-1)
	return err
}

// RenewView says that a session that has narrowed its feed was here at that time.
// Without a view it does nothing.
func (t *Tx) RenewView(ctx context.Context, session string, at time.Time) error {
	_, err := t.tx.ExecContext(ctx, `UPDATE views SET at = $2 WHERE session = $1`, session, millis(at))
	return unavailable(err)
}

// SessionView returns what SaveView kept for a session of that account, empty if it
// kept nothing, when that was kept or renewed, and how many views are kept of the
// account. With MaxViews of them, what is not there may have gone.
func (t *Tx) SessionView(ctx context.Context, session, accountID string) (view string, at time.Time, kept int, err error) {
	var ms int64
	err = t.tx.QueryRowContext(ctx, `SELECT COALESCE((SELECT view FROM views WHERE session = $1 AND account_id = $2), ''),
		COALESCE((SELECT at FROM views WHERE session = $1 AND account_id = $2), 0),
		(SELECT COUNT(*) FROM views WHERE account_id = $2)`, session, accountID).Scan(&view, &ms, &kept)
	return view, fromMillis(ms), kept, unavailable(err)
}

// ForgetViews removes what clients had narrowed their feeds to before the given
// time, the oldest first and at most limit, and returns how many there were.
func (t *Tx) ForgetViews(ctx context.Context, before time.Time, limit int) (int64, error) {
	return t.remove(ctx, `DELETE FROM views
		WHERE session IN (SELECT session FROM views WHERE at < $1 ORDER BY at LIMIT $2)`, millis(before), limit)
}
