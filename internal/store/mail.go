package store

import (
	"context"
	"time"

	"larder/internal/eventlog"
)

// Sink returns how far a named reader of the log has come in its present life:
// ErrNotFound says that it has read nothing of it yet.
func (t *Tx) Sink(ctx context.Context, name string) (eventlog.Position, error) {
	p := eventlog.Position{Epoch: t.epoch}
	err := t.tx.QueryRowContext(ctx, `SELECT seq FROM sinks WHERE name = $1 AND epoch = $2`, name, t.epoch).Scan(&p.Seq)
	return p, unavailable(err)
}

// StartSink puts a reader, known or not, at a place in the present life of the log.
func (t *Tx) StartSink(ctx context.Context, name string, seq int64) error {
	_, err := t.tx.ExecContext(ctx, `INSERT INTO sinks (name, epoch, seq) VALUES ($1, $2, $3)
		ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq`, name, t.epoch, seq)
	return unavailable(err)
}

// AdvanceSink moves a reader on, or returns ErrConflict when it is not at from:
// another node was faster.
func (t *Tx) AdvanceSink(ctx context.Context, name string, from, to int64) error {
	res, err := t.tx.ExecContext(ctx, `UPDATE sinks SET seq = $4 WHERE name = $1 AND epoch = $2 AND seq = $3`, name, t.epoch, from, to)
	return changedOne(res, err, ErrConflict)
}

// Mail is one that is to be sent because of a record.
type Mail struct {
	Seq   int64  // of the record
	Part  int    // which of the mails of that record
	Kind  string // what it tells
	About string // the id of the account, ticket or donation
	Tries int    // so far, one that is under way included
	Due   time.Time
}

// InsertMails adds mails that wait.
func (t *Tx) InsertMails(ctx context.Context, mails ...Mail) error {
	for _, m := range mails {
		if _, err := t.tx.ExecContext(ctx, `INSERT INTO mails (seq, part, kind, about, tries, due) VALUES ($1, $2, $3, $4, $5, $6)`,
			m.Seq, m.Part, m.Kind, m.About, m.Tries, millis(m.Due)); err != nil {
			return unavailable(err)
		}
	}
	return nil
}

// NextMail returns the mail to be tried now, or ErrNotFound: those that were tried
// least come first, and of these the oldest.
func (t *Tx) NextMail(ctx context.Context, now time.Time) (m Mail, err error) {
	var due int64
	err = t.tx.QueryRowContext(ctx, `SELECT seq, part, kind, about, tries, due FROM mails WHERE due <= $1
		ORDER BY tries, seq, part LIMIT 1`, millis(now)).Scan(&m.Seq, &m.Part, &m.Kind, &m.About, &m.Tries, &due)
	m.Due = fromMillis(due)
	return m, unavailable(err)
}

// TryMail counts one more try of m, which was read in this transaction, and keeps it
// from being tried before due.
func (t *Tx) TryMail(ctx context.Context, m Mail, due time.Time) error {
	res, err := t.tx.ExecContext(ctx, `UPDATE mails SET tries = tries + 1, due = $3 WHERE seq = $1 AND part = $2`, m.Seq, m.Part, millis(due))
	return changedOne(res, err, ErrNotFound)
}

// DeleteMail removes a mail that was sent or given up. One that is gone is no error.
func (t *Tx) DeleteMail(ctx context.Context, m Mail) error {
	_, err := t.tx.ExecContext(ctx, `DELETE FROM mails WHERE seq = $1 AND part = $2`, m.Seq, m.Part)
	return unavailable(err)
}

// ForgetMails removes all mails.
func (t *Tx) ForgetMails(ctx context.Context) error {
	_, err := t.tx.ExecContext(ctx, `DELETE FROM mails`)
	return unavailable(err)
}

// CountMails counts the mails that wait.
func (t *Tx) CountMails(ctx context.Context) (n int, err error) {
	err = t.tx.QueryRowContext(ctx, `SELECT COUNT(*) FROM mails`).Scan(&n)
	return n, unavailable(err)
}
