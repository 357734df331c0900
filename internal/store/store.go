package store

import (
	"context"
	"crypto/rand"
	"database/sql"
	"embed"
	"encoding/base32"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Errors that mean something to a caller.
var (
	ErrNotFound    = errors.New("store: not found")
	ErrEmailTaken  = errors.New("store: e-mail is taken")
	ErrConflict    = errors.New("store: somebody else has changed it meanwhile")
	ErrUnavailable = errors.New("store: unavailable")
)

//go:embed migrations
var migrations embed.FS

// readers bounds the connections that only read.
const readers = 4

// Store is an open database.
type Store struct {
	write *sql.DB // one connection: SQLite has one writer, waiting in Go is cheaper than in SQLite
	read  *sql.DB
	epoch string
	file  *watchedFile // nil: the database is no file of ours

	group    group
	prepared prepared
}

// Open opens the database of that address, `sqlite:PATH`, without touching the
// schema: call Migrate before anything else. The folder of PATH is made with
// mode 0700 when it is missing.
func Open(ctx context.Context, address string) (*Store, error) {
	path, ok := strings.CutPrefix(address, "sqlite:")
	if !ok {
		scheme, _, _ := strings.Cut(address, ":")
		return nil, fmt.Errorf("store: database address begins with %.20q; only sqlite: is supported so far", scheme)
	}
	if path == "" {
		return nil, errors.New("store: database address has no path")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("store: make data folder: %w", err)
	}
	write, err := sql.Open("sqlite", dsn(path, url.Values{"_txlock": {"immediate"}}))
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	write.SetMaxOpenConns(1)
	read, err := sql.Open("sqlite", dsn(path, url.Values{"_query_only": {"1"}}))
	if err != nil {
		return nil, errors.Join(fmt.Errorf("store: %w", err), write.Close())
	}
	read.SetMaxOpenConns(readers)
	read.SetMaxIdleConns(readers)
	s := &Store{write: write, read: read, prepared: newPrepared()}
	if err := s.Ping(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), s.Close())
	}
	if s.file, err = watchFile(path); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// dsn is the driver's address of a file: WAL so that readers and the writer do
// not wait for each other, FULL so that committed means durable, a bounded wait
// for another process (the command line beside a running server), and what a
// savepoint keeps in memory, not in a file. q holds what differs between the
// writer and the readers.
func dsn(path string, q url.Values) string {
	q["_pragma"] = []string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "temp_store(MEMORY)"}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

// Close closes the database; transactions that run are waited for.
func (s *Store) Close() error { return errors.Join(s.read.Close(), s.write.Close()) }

// Ping reads from the database, so that a file that is no database, or is gone, is
// found.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.file.inPlace(); err != nil {
		return unavailable(err)
	}
	var n int
	return unavailable(s.read.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema`).Scan(&n))
}

// Migrate brings the schema up to date and returns the versions that it applied.
// Any number of processes may call it at once on one database.
func (s *Store) Migrate(ctx context.Context) ([]int64, error) {
	p, err := s.migrations()
	if err != nil {
		return nil, err
	}
	applied, err := up(ctx, p)
	if err != nil {
		return applied, fmt.Errorf("store: migrate: %w", err)
	}
	_, err = s.write.ExecContext(ctx,
		`INSERT INTO log_state (one, epoch) VALUES (1, $1) ON CONFLICT (one) DO NOTHING`, newEpoch())
	if err == nil {
		err = s.write.QueryRowContext(ctx, `SELECT epoch FROM log_state`).Scan(&s.epoch)
	}
	return applied, unavailable(err)
}

// up applies what is pending. Each step is a transaction, but which steps are
// pending is read before: of two processes that start at once one finds the
// other's tables. It looks again as long as the schema gets newer between two
// failures.
func up(ctx context.Context, p *goose.Provider) (applied []int64, err error) {
	last := int64(-1)
	for {
		results, err := p.Up(ctx)
		if partial, ok := errors.AsType[*goose.PartialError](err); ok {
			results = partial.Applied
		}
		for _, r := range results {
			applied = append(applied, r.Source.Version)
		}
		if err == nil {
			return applied, nil
		}
		version, versionErr := p.GetDBVersion(ctx)
		if versionErr != nil || version == last {
			return applied, err
		}
		last = version
	}
}

// Migration is one step of the schema and when it was applied.
type Migration struct {
	Version   int64
	Name      string
	AppliedAt time.Time // zero: pending
}

// Migrations lists the steps, oldest first.
func (s *Store) Migrations(ctx context.Context) ([]Migration, error) {
	p, err := s.migrations()
	if err != nil {
		return nil, err
	}
	status, err := p.Status(ctx)
	if err != nil {
		return nil, fmt.Errorf("store: migration status: %w", err)
	}
	var list []Migration
	for _, m := range status {
		list = append(list, Migration{Version: m.Source.Version, Name: filepath.Base(m.Source.Path), AppliedAt: m.AppliedAt})
	}
	return list, nil
}

func (s *Store) migrations() (*goose.Provider, error) {
	folder, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return nil, fmt.Errorf("store: bug: %w", err)
	}
	p, err := goose.NewProvider(goose.DialectSQLite3, s.write, folder)
	if err != nil {
		return nil, fmt.Errorf("store: migrations: %w", err)
	}
	return p, nil
}

// newEpoch names a new life of the log: 60 random bits.
func newEpoch() string {
	var b [8]byte
	rand.Read(b[:]) //nolint:errcheck // never fails: crypto/rand ends the process instead
	return strings.ToLower(base32.StdEncoding.EncodeToString(b[:]))[:12]
}

// Tx is a transaction: one consistent state, and in Update the right to change
// it. It is valid only during the call that it was given to.
type Tx struct {
	tx    *statements
	epoch string
}

// View runs fn on one consistent state that it can't change.
func (s *Store) View(ctx context.Context, fn func(*Tx) error) error {
	conn, err := s.reader(ctx)
	if err != nil {
		return err
	}
	defer conn.Close() //nolint:errcheck // it only goes back to the others
	tx, err := conn.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return unavailable(err)
	}
	defer tx.Rollback() //nolint:errcheck // after a commit there is nothing to roll back
	err = fn(&Tx{tx: &statements{tx: tx}, epoch: s.epoch})
	if err == nil {
		err = unavailable(tx.Commit())
	}
	// When a context ends database/sql rolls back at once, and what comes after
	// only hears that the transaction is over.
	if errors.Is(err, sql.ErrTxDone) && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// unavailable marks an error of the driver; nil stays nil.
func unavailable(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, sql.ErrNoRows):
		return ErrNotFound
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// isUnique says whether err is a violated uniqueness.
func isUnique(err error) bool {
	if e, ok := errors.AsType[*sqlite.Error](err); ok {
		return e.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || e.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	return false
}

// millis is the stored form of a time.
func millis(t time.Time) int64 { return t.UnixMilli() }

// nullMillis is the stored form of a time that may be absent.
func nullMillis(t *time.Time) sql.NullInt64 {
	if t == nil {
		return sql.NullInt64{}
	}
	return sql.NullInt64{Int64: t.UnixMilli(), Valid: true}
}

func fromMillis(ms int64) time.Time { return time.UnixMilli(ms).UTC() }

func fromNullMillis(ms sql.NullInt64) *time.Time {
	if !ms.Valid {
		return nil
	}
	return new(fromMillis(ms.Int64))
}
