package media_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"larder/internal/media"
)

func openDisk(t *testing.T, folder string) *media.Disk {
	t.Helper()
	d, err := media.OpenDisk(folder)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	return d
}

func TestDiskKeepsFiles(t *testing.T) {
	filesSuite(t, openDisk(t, filepath.Join(t.TempDir(), "media")))
}

// filesSuite is what every kind of Files must do.
func filesSuite(t *testing.T, files media.Files) {
	ctx := t.Context()
	read := func(name string) ([]byte, int64, error) {
		r, size, err := files.Open(ctx, name)
		if err != nil {
			return nil, 0, err
		}
		data, err := io.ReadAll(r)
		return data, size, errors.Join(err, r.Close())
	}
	absent := func(name string) {
		t.Helper()
		there, err := files.Has(ctx, name)
		_, _, openErr := read(name)
		if there || err != nil || !errors.Is(openErr, fs.ErrNotExist) {
			t.Errorf("%s: there %t, %v; opened: %v", name, there, err, openErr)
		}
	}
	big := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	for name, data := range map[string][]byte{"photos/ab/one.jpg": []byte("one"), "photos/ab/two.jpg": big, "deep/er/down/x.pdf": {0}} {
		absent(name)
		for range 2 { // again changes nothing
			if err := files.Put(ctx, name, data); err != nil {
				t.Fatal(err)
			}
			got, size, err := read(name)
			there, hasErr := files.Has(ctx, name)
			if err != nil || hasErr != nil || !there || !bytes.Equal(got, data) || size != int64(len(data)) {
				t.Errorf("%s: got %d bytes, size %d, there %t, %v, %v", name, len(got), size, there, err, hasErr)
			}
		}
	}
	absent("photos/ab/three.jpg")
	absent("photos/ab") // a folder is no file
	for range 2 {
		if err := files.Remove(ctx, "photos/ab/one.jpg"); err != nil {
			t.Errorf("remove: %v", err)
		}
		absent("photos/ab/one.jpg")
	}
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			if err := files.Put(ctx, "photos/cd/same.jpg", big); err != nil {
				t.Errorf("put %d: %v", i, err)
			}
			if got, _, err := read("photos/cd/same.jpg"); err != nil || !bytes.Equal(got, big) {
				t.Errorf("read %d: %d bytes, %v", i, len(got), err)
			}
		})
	}
	all.Wait()
}

func TestDiskStaysInItsFolder(t *testing.T) {
	folder := t.TempDir()
	secret := filepath.Join(folder, "jwt-secret")
	if err := os.WriteFile(secret, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	d := openDisk(t, filepath.Join(folder, "media"))
	if err := os.Symlink(secret, filepath.Join(folder, "media", "link")); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"../jwt-secret", "photos/../../jwt-secret", secret, "link"} {
		if r, _, err := d.Open(t.Context(), name); err == nil {
			_ = r.Close()
			t.Errorf("%s was opened", name)
		}
		if err := d.Put(t.Context(), name, []byte("x")); err == nil && name != "link" {
			t.Errorf("%s was written", name)
		}
	}
	if b, err := os.ReadFile(secret); err != nil || string(b) != "secret" {
		t.Errorf("the file outside is %q, %v", b, err)
	}
}

func TestDiskCleansUpAfterACrash(t *testing.T) {
	folder := t.TempDir()
	openDisk(t, folder)
	for name, age := range map[string]time.Duration{"old": 2 * time.Hour, "young": time.Minute} {
		path := filepath.Join(folder, "unfinished", name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	openDisk(t, folder)
	wantFiles(t, folder, "unfinished/young") // another process may be writing it
}

// A disk that can't be written leaves nothing behind.
func TestDiskFails(t *testing.T) {
	folder := t.TempDir()
	d := openDisk(t, folder)
	if err := os.WriteFile(filepath.Join(folder, "photos"), nil, 0o600); err != nil { // where a folder should be
		t.Fatal(err)
	}
	if err := d.Put(t.Context(), "photos/ab/x.jpg", []byte("x")); err == nil {
		t.Error("no error")
	}
	wantFiles(t, folder, "photos")
}

// wantFiles compares the files in a folder.
func wantFiles(t *testing.T, folder string, want ...string) {
	t.Helper()
	var got []string
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			rel, _ := filepath.Rel(folder, path)
			got = append(got, filepath.ToSlash(rel))
		}
		return err
	})
	slices.Sort(got)
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("in the folder: %v, %v, want %v", got, err, want)
	}
}

// failing are files that can't be removed for a while.
type failing struct {
	media.Files
	err error
}

func (f *failing) Remove(ctx context.Context, name string) error {
	if f.err != nil {
		return f.err
	}
	return f.Files.Remove(ctx, name)
}
