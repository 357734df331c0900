package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

var errMoved = errors.New("another file is in the place of the database: restart")

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
