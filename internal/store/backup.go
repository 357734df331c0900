package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"larder/internal/eventlog"
)

// Errors of Backup and Restore that mean something to an operator.
var (
	ErrExists = errors.New("there is a file already")
	ErrInUse  = errors.New("the database is in use: stop the server first")
)

// Backup copies the SQLite database of that address to a new file of mode 0600,
// also while a server writes to it, and returns the newest position in the copy:
// what was committed until then is in it, and nothing of what came later. The copy
// is checked and flushed before it gets its name; a file of that name is
// ErrExists.
func Backup(ctx context.Context, address, to string) (eventlog.Position, error) {
	from, err := sqlitePath(address)
	if err != nil {
		return eventlog.Position{}, err
	}
	if err := isFile(from); err != nil {
		return eventlog.Position{}, fmt.Errorf("there is no database to copy: %w", err)
	}
	if err := reserve(to); err != nil {
		return eventlog.Position{}, err
	}
	head, err := copyChecked(ctx, from, "rw", to+".partial", nil)
	if err == nil {
		err = os.Rename(to+".partial", to)
	}
	if err != nil {
		return head, errors.Join(err, os.Remove(to))
	}
	return head, syncPath(filepath.Dir(to))
}

// Restored says what Restore did.
type Restored struct {
	Head eventlog.Position // of the log that is in place now, with its new epoch
	Kept string            // where the database is that was there before; empty: there was none
	// Damaged says that the old one could not be read, so that nobody could be asked
	// whether a server still had it open.
	Damaged bool
}

// Restore puts a copy of a backup in the place of the SQLite database of that
// address. The log gets a new epoch: whoever has a position of its former life is
// told to start over, and never served what followed the backup as if it had
// happened. The database that was there is kept beside it. While anybody has it
// open it is ErrInUse, and nothing is changed.
func Restore(ctx context.Context, address, from string) (r Restored, err error) {
	path, err := sqlitePath(address)
	if err != nil {
		return r, err
	}
	if err := isFile(from); err != nil {
		return r, fmt.Errorf("there is no backup to restore: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return r, fmt.Errorf("make data folder: %w", err)
	}
	fresh := path + ".restoring"
	if err := removeIfThere(fresh); err != nil {
		return r, err
	}
	r.Head, err = copyChecked(ctx, from, "ro", fresh, func(ctx context.Context, db *sql.DB) error {
		_, err := db.ExecContext(ctx, `UPDATE log_state SET epoch = $1`, newEpoch())
		return err
	})
	if err == nil {
		err = r.replace(ctx, path, fresh)
	}
	if err != nil {
		return r, errors.Join(err, removeIfThere(fresh))
	}
	return r, syncPath(filepath.Dir(path))
}

// replace puts fresh in the place of path and keeps what was there.
func (r *Restored) replace(ctx context.Context, path, fresh string) error {
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		for _, rest := range []string{"-wal", "-shm"} { // of a database that is gone: it would be taken for the new one's
			if err := removeIfThere(path + rest); err != nil {
				return err
			}
		}
		return os.Rename(fresh, path)
	}
	old, err := sql.Open("sqlite", rawAddress(path, "rw"))
	if err != nil {
		return err
	}
	defer old.Close()
	old.SetMaxOpenConns(1)
	// Leaving WAL mode needs the file for oneself, and folds the WAL into it. Then
	// the lock is held until the new file is in place.
	_, err = old.ExecContext(ctx, `PRAGMA journal_mode = DELETE`)
	if err == nil {
		_, err = old.ExecContext(ctx, `BEGIN EXCLUSIVE`)
	}
	if isBusy(err) {
		return fmt.Errorf("%s: %w", path, ErrInUse)
	}
	r.Damaged = err != nil
	r.Kept = path + ".before-" + time.Now().UTC().Format("20060102T150405Z")
	if _, err := os.Lstat(r.Kept); err == nil {
		return fmt.Errorf("%s: %w", r.Kept, ErrExists)
	}
	for _, rest := range []string{"-wal", "-shm"} { // left only beside a damaged one
		if err := os.Rename(path+rest, r.Kept+rest); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	// A second name first, so that there is a database at every moment: a server that
	// found none would begin an empty one.
	if err := os.Link(path, r.Kept); err != nil {
		if err := os.Rename(path, r.Kept); err != nil { // no links on this file system
			return err
		}
	}
	return os.Rename(fresh, path)
}

// copyChecked copies the database in the file from, opened in that mode, to a new file,
// lets change work on the copy, checks it, flushes it and returns the head of its log.
// If it fails nothing is left.
func copyChecked(ctx context.Context, from, mode, to string, change func(context.Context, *sql.DB) error) (head eventlog.Position, err error) {
	if err := reserve(to); err != nil { // VACUUM takes an empty file, which has the right mode
		return head, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, removeIfThere(to))
		}
	}()
	source, err := sql.Open("sqlite", rawAddress(from, mode))
	if err != nil {
		return head, err
	}
	_, err = source.ExecContext(ctx, `VACUUM INTO $1`, to)
	if err := errors.Join(err, source.Close()); err != nil {
		return head, fmt.Errorf("copy %s: %w", from, err)
	}
	db, err := sql.Open("sqlite", rawAddress(to, "rw"))
	if err != nil {
		return head, err
	}
	if change != nil {
		err = change(ctx, db)
	}
	if err == nil {
		head, err = check(ctx, db)
	}
	if err := errors.Join(err, db.Close()); err != nil {
		return head, fmt.Errorf("the copy of %s: %w", from, err)
	}
	return head, syncPath(to)
}

// check wants a whole database of ours and returns the head of its log.
func check(ctx context.Context, db *sql.DB) (head eventlog.Position, err error) {
	var verdict string
	if err := db.QueryRowContext(ctx, `PRAGMA integrity_check`).Scan(&verdict); err != nil || verdict != "ok" {
		return head, errors.Join(fmt.Errorf("damaged: %.200s", verdict), err)
	}
	err = db.QueryRowContext(ctx, `SELECT epoch, COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0) FROM log_state`).Scan(&head.Epoch, &head.Seq)
	if err != nil {
		return head, fmt.Errorf("no database of Larder: %w", err)
	}
	return head, nil
}

// sqlitePath is the file of an address.
func sqlitePath(address string) (string, error) {
	path, ok := strings.CutPrefix(address, "sqlite:")
	if !ok || path == "" {
		return "", errors.New("only a database of the form sqlite:PATH is copied by Larder; PostgreSQL has pg_dump and pg_restore")
	}
	return path, nil
}

// rawAddress is the driver's address of a file that must be there and is left in
// the mode that it has.
func rawAddress(path, mode string) string {
	q := url.Values{"mode": {mode}, "_pragma": {"busy_timeout(1000)", "synchronous(FULL)"}}
	return (&url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}).String()
}

func isBusy(err error) bool {
	e, ok := errors.AsType[*sqlite.Error](err)
	return ok && (e.Code()&0xff == sqlite3.SQLITE_BUSY || e.Code()&0xff == sqlite3.SQLITE_LOCKED)
}

// isFile says what is wrong with a path that should be that of a file.
func isFile(path string) error {
	switch info, err := os.Stat(path); {
	case errors.Is(err, os.ErrNotExist):
		return fmt.Errorf("%s does not exist", path)
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return fmt.Errorf("%s is no file", path)
	}
	return nil
}

// reserve makes an empty file that only its owner may read.
func reserve(path string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s: %w", path, ErrExists)
	}
	if err != nil {
		return err
	}
	return f.Close()
}

func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// syncPath flushes a file, or the names in a folder.
func syncPath(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
