package store_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"larder/internal/eventlog"
	"larder/internal/store"
	"larder/internal/testkit/pgtest"
)

// What docs/operations.md says of backups does what it says.
func TestRestoreOfPostgresIsANewEpoch(t *testing.T) {
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	statement := regexp.MustCompile(`UPDATE log_state SET epoch = [^"]+`).FindString(string(text))
	if statement == "" {
		t.Fatal("docs/operations.md has no statement for a new epoch")
	}
	c := pgtest.Shared(t)
	address, err := c.Database()
	if err != nil {
		t.Fatal(err)
	}
	restored, err := c.Database()
	if err != nil {
		t.Fatal(err)
	}
	st := openAt(t, address)
	update(t, st, func(tx *store.Tx) error {
		if err := tx.InsertAccount(t.Context(), newDonor(), "hash"); err != nil {
			return err
		}
		if err := tx.InsertDonation(t.Context(), newDonation("d1")); err != nil {
			return err
		}
		_, err := tx.Append(t.Context(), draft("d1", 1))
		return err
	})
	before := dump(t, st)
	// Where the server can write, whoever runs it.
	where, err := c.Run("psql", "--dbname=postgres", "--tuples-only", "--no-align", "--command=SHOW data_directory")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(strings.TrimSpace(where), "..", filepath.Base(t.TempDir())+".dump")
	for _, step := range [][]string{
		{"pg_dump", "--format=custom", "--file=" + file, "--dbname=" + pgtest.Name(address)},
		{"pg_restore", "--clean", "--if-exists", "--no-owner", "--dbname=" + pgtest.Name(restored), file},
		{"psql", "--dbname=" + pgtest.Name(restored), "--command=" + statement},
	} {
		if _, err := c.Run(step[0], step[1:]...); err != nil {
			t.Fatal(err)
		}
	}

	st = openAt(t, restored)
	after := dump(t, st)
	anyEpoch := cmpopts.IgnoreFields(eventlog.Position{}, "Epoch")
	if diff := cmp.Diff(before, after, anyEpoch); diff != "" {
		t.Errorf("the restored database differs (-want +got):\n%s", diff)
	}
	if p, err := eventlog.ParsePosition(after.Head.String()); err != nil || p.Epoch == before.Head.Epoch {
		t.Errorf("epoch %q after %q: %v, want a new one of the same form", p.Epoch, before.Head.Epoch, err)
	}
	update(t, st, func(tx *store.Tx) error {
		at, err := tx.Append(t.Context(), draft("d1", 2))
		if err == nil && at[0].Seq <= before.Head.Seq {
			t.Errorf("the next number is %d after %d", at[0].Seq, before.Head.Seq)
		}
		return err
	})
}
