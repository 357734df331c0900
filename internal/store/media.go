package store

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// The names of kept files. A file is written after its name was reserved and
// removed after its name was dropped, each in a transaction of its own; a name that
// was dropped is never given again. So whatever happens at once, a file that
// somebody refers to is there: HoldMedia and DropMedia can't both succeed.

// ReserveMedia returns the name under which that content is kept: the one that it
// has, or the given one, which must never have been used. It is wanted at that time.
func (t *Tx) ReserveMedia(ctx context.Context, content, name string, at time.Time) (kept string, err error) {
	err = t.tx.QueryRowContext(ctx, `INSERT INTO media (name, content, at) VALUES ($1, $2, $3)
		ON CONFLICT (content) DO UPDATE SET at = excluded.at RETURNING name`, name, content, millis(at)).Scan(&kept)
	return kept, unavailable(err)
}

// WantMedia notes that a name is wanted at that time, or returns ErrNotFound.
func (t *Tx) WantMedia(ctx context.Context, name string, at time.Time) error {
	res, err := t.tx.ExecContext(ctx, `UPDATE media SET at = $2 WHERE name = $1 AND content IS NOT NULL`, name, millis(at))
	return changedOne(res, err, ErrNotFound)
}

// HoldMedia has an owner, a donation or an account, refer to a name, or returns
// ErrNotFound when it was dropped.
func (t *Tx) HoldMedia(ctx context.Context, owner, name string) error {
	var there bool
	err := t.tx.QueryRowContext(ctx, `SELECT content IS NOT NULL FROM media WHERE name = $1`, name).Scan(&there)
	if err == nil && !there {
		return ErrNotFound
	}
	if err != nil {
		return unavailable(err)
	}
	_, err = t.tx.ExecContext(ctx, `INSERT INTO media_refs (name, owner) VALUES ($1, $2) ON CONFLICT (name, owner) DO NOTHING`, name, owner)
	return unavailable(err)
}

// OverMedia lists up to limit owners that refer to names and need them no more:
// donations cancelled before that time, and deleted accounts.
func (t *Tx) OverMedia(ctx context.Context, before time.Time, limit int) ([]string, error) {
	return t.texts(ctx, `SELECT owner FROM (
		SELECT DISTINCT r.owner FROM media_refs r JOIN donations d ON d.id = r.owner WHERE d.status = 'CANCELLED' AND d.updated_at < $1
		UNION SELECT c.account_id AS owner FROM certificates c JOIN accounts a ON a.id = c.account_id WHERE a.deleted = TRUE
		) AS over_owners LIMIT $2`, millis(before), limit)
}

// ReleaseMedia has an owner refer to nothing and, if it is an account, have no
// certificate.
func (t *Tx) ReleaseMedia(ctx context.Context, owner string) error {
	if _, err := t.tx.ExecContext(ctx, `DELETE FROM media_refs WHERE owner = $1`, owner); err != nil {
		return unavailable(err)
	}
	_, err := t.tx.ExecContext(ctx, `DELETE FROM certificates WHERE account_id = $1`, owner)
	return unavailable(err)
}

// loose is what nobody refers to and was last wanted before $1.
const loose = `content IS NOT NULL AND at < $1 AND NOT EXISTS (SELECT 1 FROM media_refs r WHERE r.name = media.name)`

// LooseMedia lists up to limit names that nobody refers to and that were last
// wanted before that time.
func (t *Tx) LooseMedia(ctx context.Context, before time.Time, limit int) ([]string, error) {
	return t.texts(ctx, `SELECT name FROM media WHERE `+loose+` ORDER BY at LIMIT $2`, millis(before), limit)
}

// DropMedia takes from names their content if they are still loose.
func (t *Tx) DropMedia(ctx context.Context, before time.Time, names []string) error {
	if len(names) == 0 {
		return nil
	}
	args := []any{millis(before)}
	var marks strings.Builder
	for _, name := range names {
		args = append(args, name)
		fmt.Fprintf(&marks, ", $%d", len(args))
	}
	_, err := t.tx.ExecContext(ctx, `UPDATE media SET content = NULL WHERE `+loose+` AND name IN (`+marks.String()[2:]+`)`, args...)
	return unavailable(err)
}

// DroppedMedia lists up to limit names that were dropped and whose files may still
// be there.
func (t *Tx) DroppedMedia(ctx context.Context, limit int) ([]string, error) {
	return t.texts(ctx, `SELECT name FROM media WHERE content IS NULL LIMIT $1`, limit)
}

// ForgetMedia forgets a dropped name, whose file is gone.
func (t *Tx) ForgetMedia(ctx context.Context, name string) error {
	_, err := t.tx.ExecContext(ctx, `DELETE FROM media WHERE name = $1 AND content IS NULL`, name)
	return unavailable(err)
}

// Certificate is what an NGO shows for itself: the name of a file that was sent, or
// an address.
type Certificate struct {
	File string // empty: none was sent
	URL  string // empty: none was given
}

// SaveCertificate keeps the certificate of an account instead of what it had, and
// has the account refer to the file, or returns ErrNotFound when that was dropped.
func (t *Tx) SaveCertificate(ctx context.Context, accountID string, c Certificate, at time.Time) error {
	if c.File != "" {
		if err := t.HoldMedia(ctx, accountID, c.File); err != nil {
			return err
		}
	}
	if _, err := t.tx.ExecContext(ctx, `DELETE FROM media_refs WHERE owner = $1 AND name <> $2`, accountID, c.File); err != nil {
		return unavailable(err)
	}
	_, err := t.tx.ExecContext(ctx, `INSERT INTO certificates (account_id, file, url, at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (account_id) DO UPDATE SET file = excluded.file, url = excluded.url, at = excluded.at`, accountID, c.File, c.URL, millis(at))
	return unavailable(err)
}

// Certificate returns the certificate of an account that is not deleted, or
// ErrNotFound.
func (t *Tx) Certificate(ctx context.Context, accountID string) (c Certificate, err error) {
	err = t.tx.QueryRowContext(ctx, `SELECT c.file, c.url FROM certificates c JOIN accounts a ON a.id = c.account_id
		WHERE c.account_id = $1 AND a.deleted = FALSE`, accountID).Scan(&c.File, &c.URL)
	return c, unavailable(err)
}

// texts runs a query for one column of texts.
func (t *Tx) texts(ctx context.Context, query string, args ...any) ([]string, error) {
	rows, err := t.tx.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	var list []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			return nil, unavailable(err)
		}
		list = append(list, s)
	}
	return list, unavailable(rows.Err())
}
