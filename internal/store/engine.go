package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
)

// engine is what differs between the databases; the statements are the same.
type engine struct {
	dialect goose.Dialect
	folder  string // of its migrations
	ping    string // a statement that finds out whether there is a database
	begun   string // a statement that says whether any migration was applied

	// lock is the first statement of a transaction that writes: it waits until
	// nobody else writes, on any node. Empty: the database has one writer anyway.
	lock string
	view sql.TxOptions // of a transaction that sees one state

	// lost says that a connection was gone when it was used: another may be better.
	lost func(error) bool
	// migrating returns what migrations run on, and what ends them. Until then no
	// other process migrates.
	migrating func(ctx context.Context) (*sql.DB, func() error, error)
}

// readTime bounds how long a reader waits for a connection and its transaction.
const readTime = 10 * time.Second

// Open opens the database of that address, `sqlite:PATH` or
// `postgres://USER:PASSWORD@HOST:PORT/NAME`, without touching the schema: call
// Migrate before anything else. Errors never hold the password.
//
// The folder of PATH is made with mode 0700 when it is missing, the file with 0600. In the address of
// PostgreSQL every parameter that libpq and the server know may follow after a
// question mark, and `host=/folder` names a Unix socket.
//
// A database whose schema is newer than this program knows is refused: it would write
// what the other one does not expect.
func Open(ctx context.Context, address string) (*Store, error) {
	scheme, rest, _ := strings.Cut(address, ":")
	var s *Store
	var err error
	switch scheme {
	case "sqlite":
		s, err = openSQLite(rest)
	case "postgres", "postgresql":
		s, err = openPostgres(address)
	default:
		return nil, fmt.Errorf("store: database address begins with %.20q, and not with sqlite: or postgres", scheme)
	}
	if err != nil {
		return nil, err
	}
	if err := s.Ping(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s database: %w", s.engine.folder, err), s.Close())
	}
	if err := s.known(ctx); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if scheme == "sqlite" {
		if s.file, err = watchFile(rest); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

// Close closes the database; transactions that run are waited for.
func (s *Store) Close() error { return errors.Join(s.read.Close(), s.write.Close()) }

// Ping reads from the database, so that one that is away, or a file that is no
// database, is found.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.file.inPlace(); err != nil {
		return unavailable(err)
	}
	bounded, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	var n int
	err := s.read.QueryRowContext(bounded, s.engine.ping).Scan(&n)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		return fmt.Errorf("%w: no answer within %s", ErrUnavailable, readTime)
	}
	return unavailable(err)
}

// known refuses a schema that is newer than the newest step in this program.
func (s *Store) known(ctx context.Context) error {
	steps, err := migrations.ReadDir("migrations/" + s.engine.folder)
	if err != nil {
		return fmt.Errorf("store: bug: %w", err)
	}
	newest, err := goose.NumericComponent(steps[len(steps)-1].Name()) // they are sorted
	if err != nil {
		return fmt.Errorf("store: bug: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, readTime)
	defer cancel()
	var begun bool
	if err := s.read.QueryRowContext(ctx, s.engine.begun).Scan(&begun); err != nil || !begun {
		return unavailable(err)
	}
	var schema int64
	err = s.read.QueryRowContext(ctx, `SELECT COALESCE(MAX(version_id), 0) FROM goose_db_version WHERE is_applied`).Scan(&schema)
	if err == nil && schema > newest {
		return fmt.Errorf("the database is of a newer Larder (schema %d, this program knows up to %d)", schema, newest)
	}
	return unavailable(err)
}

// beginWrite begins the transaction that may write. Its holder is the only one,
// over all nodes, until it has ended.
func (s *Store) beginWrite(ctx context.Context) (*sql.Tx, error) {
	return s.transaction(ctx, s.write, nil, s.engine.lock)
}

// beginRead begins a transaction that sees one state.
func (s *Store) beginRead(ctx context.Context) (*sql.Tx, context.CancelFunc, error) {
	life, cancel := context.WithCancel(ctx)
	late := time.AfterFunc(readTime, cancel)
	tx, err := s.transaction(life, s.read, &s.engine.view, "")
	if inTime := late.Stop(); !inTime && ctx.Err() == nil {
		if err == nil {
			_ = tx.Rollback()
		}
		cancel()
		return nil, nil, fmt.Errorf("%w: no answer within %s", ErrUnavailable, readTime)
	}
	if err != nil {
		cancel()
		return nil, nil, err
	}
	return tx, cancel, nil
}

// transaction begins one. Connections of the pool that were cut while nobody
// looked show when they are used; nothing has been done yet then, so the next one
// is taken. There are no more than those that were open.
func (s *Store) transaction(ctx context.Context, db *sql.DB, opts *sql.TxOptions, lock string) (*sql.Tx, error) {
	for spare := db.Stats().OpenConnections; ; spare-- {
		tx, err := db.BeginTx(ctx, opts)
		if err == nil && lock != "" {
			if _, err = tx.ExecContext(ctx, lock); err != nil {
				_ = tx.Rollback()
			}
		}
		switch {
		case err == nil:
			return tx, nil
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case spare <= 0 || s.engine.lost == nil || !s.engine.lost(err):
			return nil, unavailable(err)
		}
	}
}
