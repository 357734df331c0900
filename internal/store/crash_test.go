package store_test

import (
	"bufio"
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"larder/internal/donation"
	"larder/internal/store"
)

// victimEnv makes this test binary the process that is killed: its value is the
// path of the database and a prefix for ids.
const victimEnv = "LARDER_STORE_VICTIM"

func TestMain(m *testing.M) {
	if task := os.Getenv(victimEnv); task != "" {
		path, prefix, _ := strings.Cut(task, "|")
		fmt.Fprintln(os.Stderr, victim(context.Background(), path, prefix))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// writers is how many write at once in the process that is killed: most of their
// transactions are shared ones.
const writers = 64

// victim writes for ever: a donation with its record, then each change of it
// with the record of that, from several goroutines. It prints what was
// acknowledged, one "id version" a line.
func victim(ctx context.Context, path, prefix string) error {
	st, err := store.Open(ctx, "sqlite:"+path)
	if err != nil {
		return err
	}
	if _, err := st.Migrate(ctx); err != nil {
		return err
	}
	failed := make(chan error)
	for w := range writers {
		go func() {
			for i := 0; ; i++ {
				d := newDonation(fmt.Sprintf("%s-%d-%d", prefix, w, i))
				for range 3 {
					if err := st.Update(ctx, func(tx *store.Tx) error { return save(ctx, tx, d) }); err != nil {
						failed <- err
						return
					}
					fmt.Printf("%s %d\n", d.ID, d.Version)
					d.Version++
					d.Status = donation.Claimed
				}
			}
		}()
	}
	return <-failed
}

func save(ctx context.Context, tx *store.Tx, d donation.Donation) error {
	write := tx.UpdateDonation
	if d.Version == 1 {
		write = tx.InsertDonation
	}
	if err := write(ctx, d); err != nil {
		return err
	}
	_, err := tx.Append(ctx, draft(d.ID, d.Version))
	return err
}

func TestCrashLosesNothingAcknowledged(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "larder.db")
	st := open(t, path)
	update(t, st, func(tx *store.Tx) error { return tx.InsertAccount(t.Context(), newDonor(), "") })
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	acknowledged := map[string]int64{}
	for round, lines := range []int{1, 200, 500, 1500} {
		killAfter(t, path, fmt.Sprintf("round%d", round), lines, acknowledged)
		st := open(t, path)
		wantWhole(t, st, acknowledged)
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// killAfter runs a victim until it has acknowledged some writes, kills it, and
// collects all that it acknowledged until then.
func killAfter(t *testing.T, path, prefix string, lines int, acknowledged map[string]int64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), victimEnv+"="+path+"|"+prefix)
	cmd.Stderr = t.Output()
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	seen := 0
	for scan := bufio.NewScanner(out); scan.Scan(); {
		var id string
		var version int64
		if n, _ := fmt.Sscanf(scan.Text(), "%s %d", &id, &version); n == 2 { // the last line may be cut
			acknowledged[id] = max(acknowledged[id], version)
		}
		if seen++; seen == lines {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || seen < lines {
		t.Fatalf("the victim ended by itself after %d lines: %v", seen, err)
	}
}

// wantWhole wants everything acknowledged, and rows and records that agree:
// each donation has exactly the records 1 to its version, and there are no others.
func wantWhole(t *testing.T, st *store.Store, acknowledged map[string]int64) {
	t.Helper()
	s := dump(t, st)
	versions := map[string]int64{}
	for _, d := range s.Donations {
		versions[d.ID] = d.Version
	}
	for id, version := range acknowledged {
		if versions[id] < version {
			t.Errorf("donation %s: acknowledged version %d, found %d", id, version, versions[id])
		}
	}
	logged := map[string]int64{}
	for i, r := range s.Records {
		if r.Version != logged[r.Subject]+1 {
			t.Errorf("record %d of %s: version %d after %d", i, r.Subject, r.Version, logged[r.Subject])
		}
		logged[r.Subject] = r.Version
	}
	if !maps.Equal(versions, logged) {
		t.Errorf("rows and records disagree:\nrows    %v\nrecords %v", versions, logged)
	}
	t.Logf("%d donations, %d records, %d acknowledged", len(s.Donations), len(s.Records), len(acknowledged))
}
