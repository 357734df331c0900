package store

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"larder/internal/account"
	"larder/internal/notice"
)

// InsertNotifications adds notifications: one row for each, or for each of its
// roles.
func (t *Tx) InsertNotifications(ctx context.Context, list ...notice.Notification) error {
	type row struct {
		notice.Notification
		audience string
	}
	var rows []row
	for _, n := range list {
		if n.To != "" {
			rows = append(rows, row{n, n.To})
		}
		for _, r := range n.Roles {
			rows = append(rows, row{n, string(r)})
		}
	}
	for some := range slices.Chunk(rows, appendChunk) {
		var text strings.Builder
		text.WriteString(`INSERT INTO notifications (id, audience, type, title, message, donation_id, created_at) VALUES `)
		var args []any
		for i, r := range some {
			if i > 0 {
				text.WriteString(", ")
			}
			n := len(args)
			fmt.Fprintf(&text, "($%d, $%d, $%d, $%d, $%d, $%d, $%d)", n+1, n+2, n+3, n+4, n+5, n+6, n+7)
			args = append(args, r.ID, r.audience, r.Type, r.Title, r.Message, r.DonationID, millis(r.CreatedAt))
		}
		if _, err := t.tx.ExecContext(ctx, text.String(), args...); err != nil {
			return unavailable(err)
		}
	}
	return nil
}

// NotificationCursor is the place of a notification in a list, newest first.
type NotificationCursor struct {
	CreatedAt time.Time
	Seq       int64
}

// Notifications returns up to limit notifications of an account, newest first: its
// own, and those of its role since it has existed. before is nil for the first page.
func (t *Tx) Notifications(ctx context.Context, a account.Account, before *NotificationCursor, limit int) ([]notice.Notification, error) {
	at, seq := int64(math.MaxInt64), int64(math.MaxInt64)
	if before != nil {
		at, seq = millis(before.CreatedAt), before.Seq
	}
	// Each half reads an index in the order of the list, so that neither reads more
	// than it gives.
	rows, err := t.tx.QueryContext(ctx, `
		SELECT seq, id, audience, type, title, message, donation_id, created_at,
			seq <= COALESCE((SELECT through FROM notifications_read_through WHERE account_id = $1), 0)
			OR EXISTS (SELECT 1 FROM notifications_read r WHERE r.account_id = $1 AND r.seq = n.seq)
		FROM (
			SELECT * FROM (SELECT * FROM notifications WHERE audience = $1
				AND (created_at, seq) < ($4, $5) ORDER BY created_at DESC, seq DESC LIMIT $6) own
			UNION ALL
			SELECT * FROM (SELECT * FROM notifications WHERE audience = $2 AND created_at >= $3
				AND (created_at, seq) < ($4, $5) ORDER BY created_at DESC, seq DESC LIMIT $6) wide
		) n ORDER BY created_at DESC, seq DESC LIMIT $6`,
		a.ID, a.Role, millis(a.CreatedAt), at, seq, limit)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	var list []notice.Notification
	for rows.Next() {
		var n notice.Notification
		var audience string
		var created int64
		if err := rows.Scan(&n.Seq, &n.ID, &audience, &n.Type, &n.Title, &n.Message, &n.DonationID, &created, &n.Read); err != nil {
			return nil, unavailable(err)
		}
		if n.CreatedAt = fromMillis(created); audience == a.ID {
			n.To = a.ID
		} else {
			n.Roles = []account.Role{a.Role}
		}
		list = append(list, n)
	}
	return list, unavailable(rows.Err())
}

// HasNotification says whether an account was told something of that type and title
// that is still kept.
func (t *Tx) HasNotification(ctx context.Context, accountID, kind, title string) (told bool, err error) {
	err = t.tx.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM notifications WHERE audience = $1 AND type = $2 AND title = $3)`,
		accountID, kind, title).Scan(&told)
	return told, unavailable(err)
}

// ReadNotification marks one notification as read by an account. One that
// Notifications does not show to it is ErrNotFound.
func (t *Tx) ReadNotification(ctx context.Context, a account.Account, id string) error {
	var seq int64
	err := t.tx.QueryRowContext(ctx, `SELECT seq FROM notifications
		WHERE id = $1 AND (audience = $2 OR (audience = $3 AND created_at >= $4))`,
		id, a.ID, a.Role, millis(a.CreatedAt)).Scan(&seq)
	if err != nil {
		return unavailable(err)
	}
	_, err = t.tx.ExecContext(ctx, `INSERT INTO notifications_read (account_id, seq) VALUES ($1, $2)
		ON CONFLICT (account_id, seq) DO NOTHING`, a.ID, seq)
	return unavailable(err)
}

// ReadAllNotifications marks all that there is now as read by an account, in one
// row.
func (t *Tx) ReadAllNotifications(ctx context.Context, accountID string) error {
	var last int64
	err := t.tx.QueryRowContext(ctx, `SELECT COALESCE(MAX(seq), 0) FROM notifications`).Scan(&last)
	if err != nil {
		return unavailable(err)
	}
	_, err = t.tx.ExecContext(ctx, `INSERT INTO notifications_read_through (account_id, through) VALUES ($1, $2)
		ON CONFLICT (account_id) DO UPDATE SET through = $2`, accountID, last)
	return unavailable(err)
}

// PruneNotifications removes notifications from before the given time, and what
// accounts had marked of those that are gone: the oldest first, at most limit of
// each. It returns how many notifications went, and whether there may be more of
// either.
func (t *Tx) PruneNotifications(ctx context.Context, before time.Time, limit int) (n int64, more bool, err error) {
	n, err = t.remove(ctx, `DELETE FROM notifications WHERE seq IN (
		SELECT seq FROM (SELECT seq, created_at FROM notifications ORDER BY seq LIMIT $2) oldest WHERE created_at < $1)`,
		millis(before), limit)
	if err != nil {
		return 0, false, err
	}
	marks, err := t.remove(ctx, `DELETE FROM notifications_read WHERE (account_id, seq) IN (
		SELECT account_id, seq FROM notifications_read
		WHERE seq < COALESCE((SELECT MIN(seq) FROM notifications), $1) ORDER BY seq LIMIT $2)`,
		int64(math.MaxInt64), limit)
	return n, max(n, marks) >= int64(limit), err
}

// remove runs a statement that deletes rows, and returns how many.
func (t *Tx) remove(ctx context.Context, statement string, args ...any) (int64, error) {
	res, err := t.tx.ExecContext(ctx, statement, args...)
	if err != nil {
		return 0, unavailable(err)
	}
	n, err := res.RowsAffected()
	return n, unavailable(err)
}
