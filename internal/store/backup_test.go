package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"larder/internal/store"
)

func wantMode(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%s: mode %v, %v, want 0600", filepath.Base(path), info.Mode(), err)
	}
}

func wantFiles(t *testing.T, folder string, want ...string) {
	t.Helper()
	var got []string
	entries, err := os.ReadDir(folder)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		got = append(got, e.Name())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

// filled is a closed database with so many donations.
func filled(t *testing.T, path string, donations int) {
	t.Helper()
	st := open(t, path)
	update(t, st, func(tx *store.Tx) error { return tx.InsertAccount(t.Context(), newDonor(), "") })
	for i := range donations {
		update(t, st, insert(t.Context(), newDonation(fmt.Sprintf("d%d", i))))
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
}

// content opens a database and closes it again.
func content(t *testing.T, path string) state {
	t.Helper()
	st := open(t, path)
	defer st.Close()
	return dump(t, st)
}

func TestBackupUnderWrites(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, "larder.db")
	st := open(t, path)
	update(t, st, func(tx *store.Tx) error { return tx.InsertAccount(t.Context(), newDonor(), "") })
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	for w := range 4 {
		group.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				d := newDonation(fmt.Sprintf("%d-%d", w, i))
				for d.Version = 1; d.Version <= 3 && ctx.Err() == nil; d.Version++ {
					if err := st.Update(ctx, insert(ctx, d)); err != nil && !errors.Is(err, context.Canceled) {
						t.Errorf("writer %d: %v", w, err)
					}
				}
			}
		})
	}
	var copies []string
	for i := range 3 {
		for before := st.Stats().Updates; st.Stats().Updates < before+50; {
			runtime.Gosched()
		}
		to := filepath.Join(t.TempDir(), fmt.Sprintf("copy%d.db", i))
		head, err := store.Backup(t.Context(), "sqlite:"+path, to)
		if err != nil {
			t.Fatalf("Backup: %v", err)
		}
		wantMode(t, to)
		wantFiles(t, filepath.Dir(to), filepath.Base(to))
		if got := content(t, to); got.Head != head || head.Seq == 0 {
			t.Errorf("copy %d: head %v, told %v", i, got.Head, head)
		}
		copies = append(copies, to)
	}
	stop()
	group.Wait()
	all := dump(t, st)
	for i, to := range copies {
		c := open(t, to)
		wantWhole(t, c, nil)
		got := dump(t, c)
		if n := len(got.Records); n >= len(all.Records) {
			t.Errorf("copy %d has %d records of %d: nothing was written meanwhile", i, n, len(all.Records))
		} else if diff := cmp.Diff(all.Records[:n], got.Records); diff != "" {
			t.Errorf("copy %d is no beginning of the log (-log +copy):\n%s", i, diff)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}

func TestBackupRefuses(t *testing.T) {
	folder := t.TempDir()
	path, there, damaged := filepath.Join(folder, "larder.db"), filepath.Join(folder, "there"), filepath.Join(folder, "damaged.db")
	filled(t, path, 60)
	damage(t, path, damaged)
	if err := os.WriteFile(there, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		address, to string
		want        error
	}{
		"a file is there":  {"sqlite:" + path, there, store.ErrExists},
		"no database":      {"sqlite:" + path + "x", filepath.Join(folder, "new"), nil},
		"another engine":   {"postgres://localhost/larder", filepath.Join(folder, "new"), nil},
		"no folder":        {"sqlite:" + path, filepath.Join(folder, "no", "new"), os.ErrNotExist},
		"damaged database": {"sqlite:" + damaged, filepath.Join(folder, "new"), nil},
		"no such database": {"sqlite:" + there, filepath.Join(folder, "new"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			if _, err := store.Backup(t.Context(), tc.address, tc.to); err == nil || (tc.want != nil && !errors.Is(err, tc.want)) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
	wantFiles(t, folder, "damaged.db", "larder.db", "there")
	if text, err := os.ReadFile(there); string(text) != "precious" {
		t.Errorf("the file that was there: %q, %v", text, err)
	}
}

// damage writes a copy of a database with pages of nonsense in it.
func damage(t *testing.T, from, to string) {
	t.Helper()
	text, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	for i := 4096; i < len(text); i++ {
		text[i] ^= 0x5a
	}
	if err := os.WriteFile(to, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestRestore(t *testing.T) {
	folder := t.TempDir()
	path, backup := filepath.Join(folder, "data", "larder.db"), filepath.Join(folder, "backup.db")
	filled(t, path, 3)
	if _, err := store.Backup(t.Context(), "sqlite:"+path, backup); err != nil {
		t.Fatal(err)
	}
	st := open(t, path)
	update(t, st, insert(t.Context(), newDonation("later")))
	later := dump(t, st)

	if _, err := store.Restore(t.Context(), "sqlite:"+path, backup); !errors.Is(err, store.ErrInUse) {
		t.Fatalf("with the database in use: got %v, want ErrInUse", err)
	}
	if diff := cmp.Diff(later, dump(t, st)); diff != "" {
		t.Errorf("refused, and changed (-want +got):\n%s", diff)
	}
	update(t, st, insert(t.Context(), newDonation("latest")))
	later = dump(t, st)
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	wantFiles(t, filepath.Dir(path), "larder.db")

	done, err := store.Restore(t.Context(), "sqlite:"+path, backup)
	if err != nil {
		t.Fatal(err)
	}
	wantMode(t, path)
	wantFiles(t, filepath.Dir(path), "larder.db", filepath.Base(done.Kept))
	saved, got := content(t, backup), content(t, path)
	if got.Head != done.Head || got.Head.Epoch == saved.Head.Epoch || got.Head.Epoch == later.Head.Epoch || got.Head.Seq != saved.Head.Seq {
		t.Errorf("head %v (told %v), want that of the backup, %v, in a new epoch", got.Head, done.Head, saved.Head)
	}
	if diff := cmp.Diff(saved, got, cmpopts.IgnoreFields(state{}, "Head"), cmpopts.IgnoreFields(got.Head, "Epoch")); diff != "" {
		t.Errorf("restored (-backup +got):\n%s", diff)
	}
	if diff := cmp.Diff(later, content(t, done.Kept)); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
}

func TestRestoreRefuses(t *testing.T) {
	folder := t.TempDir()
	path, text := filepath.Join(folder, "larder.db"), filepath.Join(folder, "text.db")
	filled(t, path, 60)
	before := content(t, path)
	damage(t, path, filepath.Join(folder, "damaged.db"))
	if err := os.WriteFile(text, []byte("no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "empty.db"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"text.db", "empty.db", "damaged.db", "nothing.db"} {
		if _, err := store.Restore(t.Context(), "sqlite:"+path, filepath.Join(folder, name)); err == nil {
			t.Errorf("%s was restored", name)
		}
	}
	for _, rest := range []string{"-wal", "-shm"} { // made by reading a database in WAL mode that may not be written
		_ = os.Remove(filepath.Join(folder, "damaged.db"+rest))
	}
	wantFiles(t, folder, "damaged.db", "empty.db", "larder.db", "text.db")
	if diff := cmp.Diff(before, content(t, path)); diff != "" {
		t.Errorf("refused, and changed (-want +got):\n%s", diff)
	}
}

func TestRestoreWhereNothingIsLeft(t *testing.T) {
	folder := t.TempDir()
	backup, path := filepath.Join(folder, "backup.db"), filepath.Join(folder, "new", "larder.db")
	filled(t, backup, 60)
	want := content(t, backup).Records
	restored := func(what string, damaged, kept bool) {
		t.Helper()
		done, err := store.Restore(t.Context(), "sqlite:"+path, backup)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if done.Damaged != damaged || (done.Kept != "") != kept {
			t.Errorf("%s: got %+v", what, done)
		}
		if diff := cmp.Diff(want, content(t, path).Records, cmpopts.IgnoreFields(done.Head, "Epoch")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	restored("no folder", false, false)

	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	another := open(t, filepath.Join(folder, "another.db"))
	update(t, another, func(tx *store.Tx) error { return tx.InsertAccount(t.Context(), newDonor(), "") })
	wal, err := os.ReadFile(filepath.Join(folder, "another.db-wal"))
	if err != nil || len(wal) == 0 {
		t.Fatalf("a WAL of %d bytes: %v", len(wal), err)
	}
	if err := os.WriteFile(path+"-wal", wal, 0o600); err != nil {
		t.Fatal(err)
	}
	restored("only the WAL of another", false, false)

	if err := os.WriteFile(path, []byte("This was a database once, until the disk broke, and its header is not to be read any more, nor is the rest."), 0o600); err != nil {
		t.Fatal(err)
	}
	restored("damaged", true, true)
}
