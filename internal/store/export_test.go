package store

import (
	"context"
	"maps"
	"net"
	"slices"
	"strings"
)

// Pragma reads a setting of one connection for each kind of transaction, so that
// tests see what the connections that are really used were opened with.
func (t *Tx) Pragma(ctx context.Context, name string) (value string, err error) {
	err = t.tx.QueryRowContext(ctx, `PRAGMA `+name).Scan(&value)
	return value, err
}

// Show reads a setting of PostgreSQL.
func (t *Tx) Show(ctx context.Context, name string) (value string, err error) {
	err = t.tx.QueryRowContext(ctx, `SHOW `+name).Scan(&value)
	return value, err
}

// Text reads one text.
func (t *Tx) Text(ctx context.Context, query string) (value string, err error) {
	err = t.tx.QueryRowContext(ctx, query).Scan(&value)
	return value, err
}

// Plans says how SQLite would answer the statements that were run in this
// transaction for the first time, a line for each step.
func (t *Tx) Plans(ctx context.Context) (plans []string, err error) {
	for _, query := range slices.Collect(maps.Keys(t.tx.prepared.wanted)) {
		rows, err := t.tx.tx.QueryContext(ctx, `EXPLAIN QUERY PLAN `+query, make([]any, strings.Count(query, "$"))...)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		for rows.Next() {
			var id, parent, unused int
			var step string
			if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
				return nil, err
			}
			plans = append(plans, step)
		}
		if err := rows.Err(); err != nil {
			return nil, err
		}
	}
	return plans, nil
}

// Exec runs a statement that the store has no method for.
func (t *Tx) Exec(ctx context.Context, statement string) error {
	_, err := t.tx.ExecContext(ctx, statement)
	return err
}

// ReadConnections is the number of connections that only read.
const ReadConnections = readers

// WithoutLock lets the writers of s go ahead without waiting for each other, to
// show what that costs.
func (s *Store) WithoutLock() { s.engine.lock = "" }

// Impatient is what the driver gets for a connection.
func Impatient(c net.Conn) net.Conn { return &impatient{Conn: c} }

// Silence is how long a server may be silent.
const Silence = silence

// Bounds of group commit.
const (
	MaxWaiting = maxWaiting
	Patience   = patience
)
