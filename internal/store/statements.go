package store

import (
	"context"
	"database/sql"
	"errors"
)

// errOver is what a Tx says that is used after its function has returned.
var errOver = errors.New("the transaction is over for this function")

// statements runs the statements of one function of View or Update.
//
// A shared transaction holds others' work. So a context that ends is seen between
// two statements and never interrupts one: both engines give the whole transaction
// up for an interrupted statement. And after a statement that failed no more are
// run: PostgreSQL refuses them, and SQLite may have ended the transaction, so that
// what follows would be committed at once.
type statements struct {
	tx     *sql.Tx
	shared bool
	failed error
}

func (s *statements) ready(ctx context.Context) (context.Context, error) {
	if s.failed != nil {
		return ctx, s.failed
	}
	if s.shared && ctx.Err() == nil {
		ctx = context.WithoutCancel(ctx)
	}
	return ctx, nil
}

func (s *statements) note(err error) error {
	if s.shared && err != nil {
		s.failed = err
	}
	return err
}

func (s *statements) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	ctx, err := s.ready(ctx)
	if err != nil {
		return nil, err
	}
	res, err := s.tx.ExecContext(ctx, query, args...)
	return res, s.note(err)
}

func (s *statements) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	ctx, err := s.ready(ctx)
	if err != nil {
		return nil, err
	}
	rows, err := s.tx.QueryContext(ctx, query, args...)
	return rows, s.note(err)
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

func (s *statements) QueryRowContext(ctx context.Context, query string, args ...any) row {
	ctx, err := s.ready(ctx)
	if err != nil {
		return row{err: err}
	}
	r := s.tx.QueryRowContext(ctx, query, args...)
	return row{Row: r, err: s.note(r.Err())}
}
