package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/pressly/goose/v3"
	_ "modernc.org/sqlite" // the driver
)

// readers bounds the connections to SQLite that only read.
const readers = 4

func openSQLite(path string) (*Store, error) {
	if path == "" {
		return nil, errors.New("store: database address has no path")
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("store: make data folder: %w", err)
	}
	// SQLite would make it readable for others; its -wal and -shm get the mode of the
	// database.
	if err := reserve(path); err != nil && !errors.Is(err, ErrExists) {
		return nil, fmt.Errorf("store: make the database: %w", err)
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
	return &Store{write: write, read: read, prepared: newPrepared(), engine: engine{
		dialect: goose.DialectSQLite3, folder: "sqlite", ping: `SELECT count(*) FROM sqlite_schema`,
		begun: `SELECT EXISTS (SELECT 1 FROM sqlite_schema WHERE name = 'goose_db_version')`,
		view:  sql.TxOptions{ReadOnly: true},
		migrating: func(context.Context) (*sql.DB, func() error, error) {
			return write, func() error { return nil }, nil
		},
	}}, nil
}

// dsn is the driver's address of a file: WAL so that readers and the writer do
// not wait for each other, FULL so that committed means durable, and a bounded
// wait for another process (the command line beside a running server). q holds
// what differs between the writer and the readers.
func dsn(path string, q url.Values) string {
	q["_pragma"] = []string{"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "temp_store(MEMORY)"}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}
