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
	"path/filepath"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
)

// Errors that mean something to a caller.
var (
	ErrNotFound    = errors.New("store: not found")
	ErrEmailTaken  = errors.New("store: e-mail is taken")
	ErrConflict    = errors.New("store: somebody else has changed it meanwhile")
	ErrText        = errors.New("store: text is not UTF-8, or holds a NUL")
	ErrUnavailable = errors.New("store: unavailable")
)

//go:embed migrations
var migrations embed.FS

// Store is an open database.
type Store struct {
	write  *sql.DB // one connection, as there is one writer: waiting in Go is cheaper than in a database
	read   *sql.DB
	engine engine
	epoch  string
	file   *watchedFile // nil: the database is no file of ours

	group    group
	prepared prepared
}

// Migrate brings the schema up to date and returns the versions that it applied.
// Any number of processes may call it at once on one database.
func (s *Store) Migrate(ctx context.Context) ([]int64, error) {
	p, end, err := s.migrations(ctx)
	if err != nil {
		return nil, err
	}
	applied, err := up(ctx, p)
	if err = errors.Join(err, end()); err != nil {
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
	p, end, err := s.migrations(ctx)
	if err != nil {
		return nil, err
	}
	status, err := p.Status(ctx)
	if err = errors.Join(err, end()); err != nil {
		return nil, fmt.Errorf("store: migration status: %w", err)
	}
	var list []Migration
	for _, m := range status {
		list = append(list, Migration{Version: m.Source.Version, Name: filepath.Base(m.Source.Path), AppliedAt: m.AppliedAt})
	}
	return list, nil
}

// migrations returns the steps of the schema, ready to be applied until end is
// called.
func (s *Store) migrations(ctx context.Context) (p *goose.Provider, end func() error, err error) {
	folder, err := fs.Sub(migrations, "migrations/"+s.engine.folder)
	if err != nil {
		return nil, nil, fmt.Errorf("store: bug: %w", err)
	}
	db, end, err := s.engine.migrating(ctx)
	if err != nil {
		return nil, nil, fmt.Errorf("store: migrations: %w", err)
	}
	if p, err = goose.NewProvider(s.engine.dialect, db, folder); err != nil {
		return nil, nil, errors.Join(fmt.Errorf("store: migrations: %w", err), end())
	}
	return p, end, nil
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
	tx, release, err := s.beginRead(ctx)
	if err != nil {
		return err
	}
	defer release()
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
	case connecting(err): // may hold the deadline of the attempt, which is not the caller's
	case errors.Is(err, ErrText), errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
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
