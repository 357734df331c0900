package store_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"larder/internal/store"
	"larder/internal/testkit/pgtest"
)

// A database is for its owner alone, and so is what SQLite keeps beside it.
func TestDatabaseIsItsOwnersAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data", "larder.db")
	openAt(t, "sqlite:"+path)
	for file, want := range map[string]fs.FileMode{filepath.Dir(path): 0o700, path: 0o600, path + "-wal": 0o600, path + "-shm": 0o600} {
		info, err := os.Stat(file)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != want {
			t.Errorf("%s has the mode %o, want %o", filepath.Base(file), got, want)
		}
	}
}

// A program does not open what a later one has made of the database.
func TestNewerSchemaIsRefused(t *testing.T) {
	for name, address := range map[string]func(*testing.T) string{
		"SQLite":     func(t *testing.T) string { return "sqlite:" + filepath.Join(t.TempDir(), "larder.db") },
		"PostgreSQL": func(t *testing.T) string { return pgtest.Database(t) },
	} {
		t.Run(name, func(t *testing.T) {
			address := address(t)
			st := openAt(t, address)
			openAt(t, address) // the newest that is known
			steps, err := st.Migrations(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			newest := steps[len(steps)-1].Version
			update(t, st, func(tx *store.Tx) error {
				return tx.Exec(t.Context(), fmt.Sprintf(`INSERT INTO goose_db_version (version_id, is_applied, tstamp)
					VALUES (%d, TRUE, '%s')`, newest+1, time.Now().UTC().Format(time.DateTime)))
			})
			want := fmt.Sprintf("the database is of a newer Larder (schema %d, this program knows up to %d)", newest+1, newest)
			if _, err := store.Open(t.Context(), address); err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("got %v, want %s", err, want)
			}
		})
	}
}
