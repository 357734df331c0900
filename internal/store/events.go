package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"larder/internal/eventlog"
)

// Append adds records at the end of the log and returns their positions. It is
// the last thing that a transaction does: what is appended becomes visible in
// the order of the numbers.
func (t *Tx) Append(ctx context.Context, drafts ...eventlog.Draft) ([]eventlog.Position, error) {
	var at []eventlog.Position
	for some := range slices.Chunk(drafts, appendChunk) {
		seqs, err := t.insertEvents(ctx, some)
		if err != nil {
			return nil, err
		}
		for _, seq := range seqs {
			at = append(at, eventlog.Position{Epoch: t.epoch, Seq: seq})
		}
	}
	return at, nil
}

// appendChunk bounds the records of one statement: to read a statement costs more
// than to insert a row.
const appendChunk = 50

// insertEvents inserts drafts, at least one, and returns their numbers.
func (t *Tx) insertEvents(ctx context.Context, drafts []eventlog.Draft) ([]int64, error) {
	var text strings.Builder
	text.WriteString(`INSERT INTO events (type, subject, version, everyone, users, roles, payload, at, donation, previous) VALUES `)
	var args []any
	for i, d := range drafts {
		if !bytes.HasPrefix(d.Payload, []byte("{")) || !bytes.HasSuffix(d.Payload, []byte("}")) || !json.Valid(d.Payload) {
			return nil, fmt.Errorf("store: bug: payload of %s is no JSON object", d.Type)
		}
		users, err := jsonList(d.Audience.Users)
		if err != nil {
			return nil, err
		}
		roles, err := jsonList(d.Audience.Roles)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			text.WriteString(", ")
		}
		n := len(args)
		fmt.Fprintf(&text, "($%d, $%d, $%d, $%d, $%d, $%d, $%d, $%d, $%d, $%d)", n+1, n+2, n+3, n+4, n+5, n+6, n+7, n+8, n+9, n+10)
		args = append(args, d.Type, d.Subject, d.Version, d.Audience.Everyone, users, roles, string(d.Payload), millis(d.At),
			string(d.Donation), d.Previous)
	}
	rows, err := t.tx.QueryContext(ctx, text.String()+` RETURNING seq`, args...)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	var seqs []int64
	for rows.Next() {
		var seq int64
		if err := rows.Scan(&seq); err != nil {
			return nil, unavailable(err)
		}
		seqs = append(seqs, seq)
	}
	// Numbers are given in the order of the values; RETURNING promises none.
	slices.Sort(seqs)
	return seqs, unavailable(rows.Err())
}

// jsonList is how a list is kept.
func jsonList(list []string) (string, error) {
	if len(list) == 0 {
		return "[]", nil
	}
	text, err := json.Marshal(list)
	if err != nil {
		return "", fmt.Errorf("store: audience: %w", err)
	}
	return string(text), nil
}

const eventColumns = `seq, type, subject, version, everyone, users, roles, payload, at, donation, previous`

// Head returns the position of the newest record.
func (t *Tx) Head(ctx context.Context) (eventlog.Position, error) {
	p := eventlog.Position{Epoch: t.epoch}
	err := t.tx.QueryRowContext(ctx, `SELECT COALESCE((SELECT MAX(seq) FROM events), pruned) FROM log_state`).Scan(&p.Seq)
	return p, unavailable(err)
}

// Tail returns the position before the oldest record that is kept, or the head of
// an empty log: a reader at this position or after it misses nothing.
func (t *Tx) Tail(ctx context.Context) (eventlog.Position, error) {
	p := eventlog.Position{Epoch: t.epoch}
	err := t.tx.QueryRowContext(ctx, `SELECT pruned FROM log_state`).Scan(&p.Seq)
	return p, unavailable(err)
}

// Since returns up to limit records after seq, oldest first.
func (t *Tx) Since(ctx context.Context, seq int64, limit int) ([]eventlog.Record, error) {
	return t.records(ctx, `WHERE seq > $1 ORDER BY seq LIMIT $2`, seq, limit)
}

// History returns up to limit records after seq about one donation or account, oldest
// first.
func (t *Tx) History(ctx context.Context, subject string, seq int64, limit int) ([]eventlog.Record, error) {
	return t.records(ctx, `WHERE subject = $1 AND seq > $2 ORDER BY seq LIMIT $3`, subject, seq, limit)
}

func (t *Tx) records(ctx context.Context, tail string, args ...any) ([]eventlog.Record, error) {
	rows, err := t.tx.QueryContext(ctx, `SELECT `+eventColumns+` FROM events `+tail, args...)
	if err != nil {
		return nil, unavailable(err)
	}
	defer rows.Close()
	var list []eventlog.Record
	for rows.Next() {
		r := eventlog.Record{Position: eventlog.Position{Epoch: t.epoch}}
		var users, roles, payload, about string
		var at int64
		if err := rows.Scan(&r.Position.Seq, &r.Type, &r.Subject, &r.Version, &r.Audience.Everyone, &users, &roles, &payload, &at,
			&about, &r.Previous); err != nil {
			return nil, unavailable(err)
		}
		if err := json.Unmarshal([]byte(users), &r.Audience.Users); err != nil {
			return nil, fmt.Errorf("store: audience of record %d: %w", r.Position.Seq, err)
		}
		if roles != "[]" {
			if err := json.Unmarshal([]byte(roles), &r.Audience.Roles); err != nil {
				return nil, fmt.Errorf("store: audience of record %d: %w", r.Position.Seq, err)
			}
		}
		r.Payload, r.At = json.RawMessage(payload), fromMillis(at)
		if about != "" {
			r.Donation = json.RawMessage(about)
		}
		list = append(list, r)
	}
	return list, unavailable(rows.Err())
}

// Prune removes the oldest records, those from before the given time and at most
// limit of them, and returns how many, and when the last of them was written. It stops
// at the first that is younger, whatever comes after, so that no hole is left.
// Positions before those are out of the window from then on: see Tail.
func (t *Tx) Prune(ctx context.Context, before time.Time, limit int) (n int64, last time.Time, err error) {
	through, last, err := t.lastBefore(ctx, before, limit)
	if err != nil || through == 0 {
		return 0, last, err
	}
	res, err := t.tx.ExecContext(ctx, `DELETE FROM events WHERE seq <= $1`, through)
	if err != nil {
		return 0, last, unavailable(err)
	}
	if _, err := t.tx.ExecContext(ctx, `UPDATE log_state SET pruned = $1 WHERE pruned < $1`, through); err != nil {
		return 0, last, unavailable(err)
	}
	n, err = res.RowsAffected()
	return n, last, unavailable(err)
}

// lastBefore is the last of the oldest records, at most limit, that are from
// before the given time, and when it was written; 0: none.
func (t *Tx) lastBefore(ctx context.Context, before time.Time, limit int) (through int64, last time.Time, err error) {
	rows, err := t.tx.QueryContext(ctx, `SELECT seq, at FROM events ORDER BY seq LIMIT $1`, limit)
	if err != nil {
		return 0, last, unavailable(err)
	}
	defer rows.Close()
	for rows.Next() {
		var seq, at int64
		if err := rows.Scan(&seq, &at); err != nil {
			return 0, last, unavailable(err)
		}
		if at >= millis(before) {
			return through, last, nil
		}
		through, last = seq, fromMillis(at)
	}
	return through, last, unavailable(rows.Err())
}

// Log is the store as the tailer reads it.
type Log struct{ store *Store }

// Log returns the committed log.
func (s *Store) Log() Log { return Log{s} }

var _ eventlog.Source = Log{}

// Head implements eventlog.Source.
func (l Log) Head(ctx context.Context) (p eventlog.Position, err error) {
	err = l.store.View(ctx, func(t *Tx) error {
		p, err = t.Head(ctx)
		return err
	})
	return p, err
}

// Tail implements eventlog.Source.
func (l Log) Tail(ctx context.Context) (p eventlog.Position, err error) {
	err = l.store.View(ctx, func(t *Tx) error {
		p, err = t.Tail(ctx)
		return err
	})
	return p, err
}

// Since implements eventlog.Source.
func (l Log) Since(ctx context.Context, seq int64, limit int) (recs []eventlog.Record, err error) {
	err = l.store.View(ctx, func(t *Tx) error {
		recs, err = t.Since(ctx, seq, limit)
		return err
	})
	return recs, err
}
