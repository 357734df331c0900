package store

import (
	"context"
	"database/sql"
)

// statements runs the statements of a transaction, if both engines can.
type statements struct{ tx *sql.Tx }

func (s statements) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	if err := storable(args); err != nil {
		return nil, err
	}
	return s.tx.ExecContext(ctx, query, args...)
}

func (s statements) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if err := storable(args); err != nil {
		return nil, err
	}
	return s.tx.QueryContext(ctx, query, args...)
}

func (s statements) QueryRowContext(ctx context.Context, query string, args ...any) row {
	if err := storable(args); err != nil {
		return row{err: err}
	}
	return row{Row: s.tx.QueryRowContext(ctx, query, args...)}
}

// row is the answer to a query for one row.
type row struct {
	*sql.Row
	err error
}

// Scan is that of sql.Row.
func (r row) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	return r.Row.Scan(dest...)
}
