package store

import (
	"context"
	"net"
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
