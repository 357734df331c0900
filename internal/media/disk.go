package media

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"time"
)

// Files is where files are kept, by names like photos/ab/abcd.jpg. A file is whole or
// not there at all, and one that is there stays as it is. Open and Has of what is not
// there are fs.ErrNotExist and false; Remove of it does nothing.
type Files interface {
	Put(ctx context.Context, name string, data []byte) error
	Has(ctx context.Context, name string) (bool, error)
	Open(ctx context.Context, name string) (r io.ReadCloser, size int64, err error)
	Remove(ctx context.Context, name string) error
}

// unfinished is the folder of files that are being written, and abandonedAfter how
// old one is that nobody is writing any more.
const (
	unfinished     = "unfinished"
	abandonedAfter = time.Hour
)

// Disk keeps files in a folder. Several processes may use one folder.
type Disk struct{ root *os.Root }

// OpenDisk opens a folder, which it makes when it is not there, and removes what a
// crash left unfinished in it.
func OpenDisk(folder string) (*Disk, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, fmt.Errorf("media folder: %w", err)
	}
	root, err := os.OpenRoot(folder)
	if err != nil {
		return nil, fmt.Errorf("media folder: %w", err)
	}
	d := &Disk{root: root}
	if err := d.removeAbandoned(); err != nil {
		return nil, errors.Join(fmt.Errorf("media folder: %w", err), root.Close())
	}
	return d, nil
}

// Close lets go of the folder.
func (d *Disk) Close() error { return d.root.Close() }

func (d *Disk) removeAbandoned() error {
	if err := d.root.MkdirAll(unfinished, 0o700); err != nil {
		return err
	}
	list, err := fs.ReadDir(d.root.FS(), unfinished)
	for _, e := range list {
		info, statErr := e.Info()
		if statErr == nil && time.Since(info.ModTime()) > abandonedAfter {
			err = errors.Join(err, d.root.Remove(path.Join(unfinished, e.Name())))
		}
	}
	return err
}

// Put writes a file under another name, flushes it, and then gives it its name.
func (d *Disk) Put(_ context.Context, name string, data []byte) error {
	partial := path.Join(unfinished, rand.Text())
	err := d.write(partial, data)
	if err == nil {
		err = d.place(partial, name)
	}
	if err != nil {
		_ = d.root.Remove(partial) // or it is removed at the next start
		return fmt.Errorf("keep file: %w", err)
	}
	return nil
}

func (d *Disk) write(name string, data []byte) error {
	f, err := d.root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	return errors.Join(err, f.Sync(), f.Close())
}

// place renames a file into its folder, and flushes the folder and, when it is new,
// those above it.
func (d *Disk) place(partial, name string) error {
	folder := path.Dir(name)
	_, err := d.root.Stat(folder)
	fresh := errors.Is(err, fs.ErrNotExist)
	if fresh {
		err = d.root.MkdirAll(folder, 0o700)
	}
	if err == nil {
		err = d.root.Rename(partial, name)
	}
	if err == nil {
		err = d.flush(folder)
	}
	for fresh && err == nil && folder != "." {
		folder = path.Dir(folder)
		err = d.flush(folder)
	}
	return err
}

func (d *Disk) flush(folder string) error {
	f, err := d.root.Open(folder)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Has says whether a file is there.
func (d *Disk) Has(_ context.Context, name string) (bool, error) {
	info, err := d.root.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && info.Mode().IsRegular(), err
}

// Open opens a file.
func (d *Disk) Open(_ context.Context, name string) (io.ReadCloser, int64, error) {
	f, err := d.root.Open(name)
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

// Remove removes a file.
func (d *Disk) Remove(_ context.Context, name string) error {
	if err := d.root.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove file: %w", err)
	}
	return nil
}
