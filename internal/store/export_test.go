package store

import "context"

// Pragma reads a setting of one connection for each kind of transaction, so that
// tests see what the connections that are really used were opened with.
func (t *Tx) Pragma(ctx context.Context, name string) (value string, err error) {
	err = t.tx.QueryRowContext(ctx, `PRAGMA `+name).Scan(&value)
	return value, err
}

// Exec runs a statement that the store has no method for.
func (t *Tx) Exec(ctx context.Context, statement string) error {
	_, err := t.tx.ExecContext(ctx, statement)
	return err
}

// ReadConnections is the number of connections that only read.
const ReadConnections = readers

// Bounds of group commit.
const (
	MaxWaiting = maxWaiting
	Patience   = patience
)
