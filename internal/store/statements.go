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
	tx       *sql.Tx
	shared   bool
	prepared *prepared       // nil: nothing is
	open     map[string]bool // queries whose rows may still be read
	failed   error
}

// maxPrepared bounds the statements that are kept prepared.
const maxPrepared = 100

// prepared keeps the statements of transactions that write, which the engine else
// parses anew each time: a third of what a claim costs SQLite. Its owner is
// whoever has the turn. A statement is prepared when it has been used once, before
// the next transaction, because preparing needs the connection.
type prepared struct {
	stmts  map[string]*sql.Stmt
	wanted map[string]bool
}

func newPrepared() prepared {
	return prepared{stmts: map[string]*sql.Stmt{}, wanted: map[string]bool{}}
}

// get returns a prepared statement, or nil and remembers that it was wanted.
func (p *prepared) get(query string) *sql.Stmt {
	if p == nil {
		return nil
	}
	st := p.stmts[query]
	if st == nil && len(p.stmts)+len(p.wanted) < maxPrepared {
		p.wanted[query] = true
	}
	return st
}

// prepare prepares what was wanted. What fails is left to whoever runs it.
func (p *prepared) prepare(ctx context.Context, db *sql.DB) {
	for query := range p.wanted {
		if st, err := db.PrepareContext(ctx, query); err == nil {
			p.stmts[query] = st
		}
	}
	clear(p.wanted)
}

func (s *statements) ready(ctx context.Context, args []any) (context.Context, error) {
	if s.failed != nil {
		return ctx, s.failed
	}
	if err := storable(args); err != nil {
		return ctx, err
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
	ctx, err := s.ready(ctx, args)
	if err != nil {
		return nil, err
	}
	var res sql.Result
	if st := s.prepared.get(query); st != nil {
		res, err = s.tx.StmtContext(ctx, st).ExecContext(ctx, args...)
	} else {
		res, err = s.tx.ExecContext(ctx, query, args...)
	}
	return res, s.note(err)
}

// rows are those of a query, which have to be closed.
type rows struct {
	*sql.Rows
	closed func() // nil: nobody waits for it
}

// Close is that of sql.Rows.
func (r rows) Close() error {
	if r.closed != nil {
		r.closed()
	}
	return r.Rows.Close()
}

// QueryContext uses a prepared statement for one query at a time: its rows may still
// be read when the same query is run again, and a statement of SQLite does one thing
// at a time.
func (s *statements) QueryContext(ctx context.Context, query string, args ...any) (rows, error) {
	ctx, err := s.ready(ctx, args)
	if err != nil {
		return rows{}, err
	}
	var r rows
	if st := s.prepared.get(query); st != nil && !s.open[query] {
		if s.open == nil {
			s.open = map[string]bool{}
		}
		s.open[query] = true
		r.closed = func() { delete(s.open, query) }
		r.Rows, err = s.tx.StmtContext(ctx, st).QueryContext(ctx, args...)
	} else {
		r.Rows, err = s.tx.QueryContext(ctx, query, args...)
	}
	return r, s.note(err)
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
	ctx, err := s.ready(ctx, args)
	if err != nil {
		return row{err: err}
	}
	var r *sql.Row
	if st := s.prepared.get(query); st != nil {
		r = s.tx.StmtContext(ctx, st).QueryRowContext(ctx, args...)
	} else {
		r = s.tx.QueryRowContext(ctx, query, args...)
	}
	return row{Row: r, err: s.note(r.Err())}
}
