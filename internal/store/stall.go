package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

var errMoved = errors.New("another file is in the place of the database: restart")

// reader returns a connection that only reads, for which it does not wait for
// ever: one that hangs would else collect requests without end.
func (s *Store) reader(ctx context.Context) (*sql.Conn, error) {
	wait, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := s.read.Conn(wait)
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
		err = errStalled
	}
	return conn, unavailable(err)
}

// watchedFile is the file of a SQLite database as it was when it was opened. SQLite
// goes on writing to a file that was removed or moved away, and what it then calls
// durable is gone with the process.
type watchedFile struct {
	path string
	was  fs.FileInfo
}

func watchFile(path string) (*watchedFile, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	return &watchedFile{path: path, was: info}, nil
}

// inPlace returns an error as long as the file is not where it was.
func (w *watchedFile) inPlace() error {
	if w == nil {
		return nil
	}
	info, err := os.Stat(w.path)
	if err == nil && !os.SameFile(info, w.was) {
		err = errMoved
	}
	return err
}
