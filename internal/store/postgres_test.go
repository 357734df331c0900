package store_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"larder/internal/store"
	"larder/internal/store/storetest"
	"larder/internal/testkit/pgtest"
)

func TestPostgres(t *testing.T) {
	storetest.Run(t, func(t *testing.T) *store.Store { return openAt(t, pgtest.Database(t)) })
}

// Several nodes write, one of them slowly between its append and its commit,
// while a tailer goes on from the newest record that it saw.
func TestPositionsBecomeVisibleInOrderOverNodes(t *testing.T) {
	seen, all := tailBesideWriters(t, openNodes(t, 4))
	if !slices.Equal(seen, all) {
		t.Errorf("the tailer saw %d records, the log holds %d:\n got %v\nwant %v", len(seen), len(all), seen, all)
	}
}

// The test above would find a store without the lock.
func TestWithoutTheLockRecordsAreLost(t *testing.T) {
	nodes := openNodes(t, 4)
	for _, st := range nodes {
		st.WithoutLock()
	}
	seen, all := tailBesideWriters(t, nodes)
	if len(seen) >= len(all) {
		t.Errorf("the tailer saw all of %d records although no writer waited for another", len(all))
	}
	t.Logf("the tailer saw %d records, the log holds %d", len(seen), len(all))
}

// openNodes opens one database several times, as several nodes do.
func openNodes(t *testing.T, n int) (nodes []*store.Store) {
	address := pgtest.Database(t)
	for range n {
		nodes = append(nodes, openAt(t, address))
	}
	return nodes
}

func tailBesideWriters(t *testing.T, nodes []*store.Store) (seen, all []int64) {
	const writers, each = 3, 40
	appended, past := make(chan struct{}), make(chan struct{})
	var group sync.WaitGroup
	group.Go(func() {
		err := nodes[0].Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Append(t.Context(), draft("slow", 1))
			close(appended)
			select {
			case <-past: // the tailer has gone on without us
			case <-time.After(200 * time.Millisecond): // nobody could
			}
			return err
		})
		if err != nil {
			t.Errorf("slow writer: %v", err)
		}
	})
	<-appended
	for i, st := range nodes {
		for w := range writers {
			group.Go(func() {
				for v := range each {
					err := st.Update(t.Context(), func(tx *store.Tx) error {
						_, err := tx.Append(t.Context(), draft(fmt.Sprintf("w%d-%d", i, w), int64(v)), draft("second", int64(v)))
						return err
					})
					if err != nil {
						t.Errorf("node %d, writer %d: %v", i, w, err)
						return
					}
				}
			})
		}
	}
	done := make(chan struct{})
	go func() { group.Wait(); close(done) }()

	log := nodes[len(nodes)-1].Log()
	read := func(after int64) (list []int64) {
		recs, err := log.Since(t.Context(), after, 10_000)
		if err != nil {
			t.Fatalf("Since: %v", err)
		}
		for _, r := range recs {
			list = append(list, r.Position.Seq)
		}
		return list
	}
	var gone sync.Once
	for running := true; running; {
		select {
		case <-done:
			running = false
		default:
		}
		after := int64(0)
		if len(seen) > 0 {
			after = seen[len(seen)-1]
			gone.Do(func() { close(past) })
		}
		seen = append(seen, read(after)...)
	}
	return seen, read(0)
}

// cut ends all connections to the database, as an operator or a restart does.
func cut(t *testing.T, c *pgtest.Cluster) {
	t.Helper()
	if _, err := c.Run("psql", "--dbname=postgres", "--command=SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'larder'"); err != nil {
		t.Fatal(err)
	}
}

func TestStoreHealsWhenTheDatabaseComesBack(t *testing.T) {
	c := pgtest.StartFor(t)
	address, err := c.Database()
	if err != nil {
		t.Fatal(err)
	}
	st := openAt(t, address)
	write := func(v int64) error {
		return st.Update(t.Context(), func(tx *store.Tx) error {
			_, err := tx.Append(t.Context(), draft("s", v))
			return err
		})
	}
	read := func() error {
		_, err := st.Log().Since(t.Context(), 0, 10)
		return err
	}
	if err := errors.Join(write(1), read()); err != nil {
		t.Fatal(err)
	}

	cut(t, c)
	if err := errors.Join(write(2), read()); err != nil {
		t.Errorf("after idle connections were cut: got %v, want it not to be noticed", err)
	}

	err = st.Update(t.Context(), func(tx *store.Tx) error {
		if _, err := tx.Append(t.Context(), draft("s", 3)); err != nil {
			return err
		}
		cut(t, c)
		_, err := tx.Append(t.Context(), draft("s", 4))
		return err
	})
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("cut in the middle: got %v, want ErrUnavailable", err)
	}
	if got := len(dump(t, st).Records); got != 2 {
		t.Errorf("after a transaction was cut: %d records, want 2", got)
	}

	if err := c.Stop(); err != nil {
		t.Fatal(err)
	}
	for what, err := range map[string]error{"Update": write(5), "View": read(), "Ping": st.Ping(t.Context())} {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("%s without a server: got %v, want ErrUnavailable", what, err)
		}
	}
	if err := c.Resume(); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(write(6), read(), st.Ping(t.Context())); err != nil {
		t.Errorf("the server is back: %v", err)
	}
	if got := len(dump(t, st).Records); got != 3 {
		t.Errorf("after the crash of the server: %d records, want the 3 that were acknowledged", got)
	}
}

func TestTooManyConnections(t *testing.T) {
	c := pgtest.StartFor(t, "max_connections=5", "superuser_reserved_connections=0")
	address, err := c.Database()
	if err != nil {
		t.Fatal(err)
	}
	st := openAt(t, address)
	var ready, release, group sync.WaitGroup
	release.Add(1)
	failed := make(chan error, 8)
	for range 8 {
		ready.Add(1)
		group.Go(func() {
			err := st.View(t.Context(), func(tx *store.Tx) error {
				_, err := tx.Head(t.Context())
				ready.Done()
				release.Wait()
				return err
			})
			if err != nil {
				failed <- err
				ready.Done()
			}
		})
	}
	ready.Wait()
	release.Done()
	group.Wait()
	close(failed)
	n := 0
	for err := range failed {
		n++
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("no connection left: got %v, want ErrUnavailable", err)
		}
	}
	if n == 0 {
		t.Error("eight readers found a place where there are five")
	}
	if _, err := st.Log().Head(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// A node that stops in the middle of a transaction, its connection still open,
// holds up the others only as long as the server lets it.
func TestWriterThatStopsHoldsUpNobodyForLong(t *testing.T) {
	address := pgtest.Database(t)
	stopped, other := openAt(t, address+"&idle_in_transaction_session_timeout=300ms"), openAt(t, address)
	update(t, other, func(tx *store.Tx) error { return tx.InsertAccount(t.Context(), newDonor(), "") })
	err := stopped.Update(t.Context(), func(tx *store.Tx) error {
		if err := tx.InsertDonation(t.Context(), newDonation("d1")); err != nil {
			return err
		}
		update(t, other, func(tx *store.Tx) error { return tx.InsertDonation(t.Context(), newDonation("d2")) })
		return nil
	})
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("the writer that stopped: got %v, want ErrUnavailable", err)
	}
	if list := dump(t, other).Donations; len(list) != 1 || list[0].ID != "d2" {
		t.Errorf("got %v, want the donation of the other alone", list)
	}
}

func TestWriterWaitsForTheLockInBoundedTime(t *testing.T) {
	address := pgtest.Database(t)
	holder, waiter := openAt(t, address), openAt(t, address+"&lock_timeout=50ms")
	update(t, holder, func(*store.Tx) error {
		err := waiter.Update(t.Context(), func(*store.Tx) error { return errors.New("ran beside another writer") })
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("got %v, want ErrUnavailable", err)
		}
		return nil
	})
	update(t, waiter, func(*store.Tx) error { return nil })
}

// A change of the schema and a writer could wait for each other's tables.
func TestMigrationWaitsForWriters(t *testing.T) {
	nodes := openNodes(t, 2)
	update(t, nodes[0], func(*store.Tx) error {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if _, err := nodes[1].Migrate(ctx); err == nil {
			t.Error("Migrate ran beside a writer")
		}
		return nil
	})
	if _, err := nodes[1].Migrate(t.Context()); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// Two Larders in one database, each with a schema of its own, know nothing of each
// other.
func TestSchemasAreApart(t *testing.T) {
	a, b := openAt(t, pgtest.Database(t)), openAt(t, pgtest.Database(t)) // which are schemas
	update(t, a, func(tx *store.Tx) error {
		update(t, b, func(tx *store.Tx) error {
			_, err := tx.Append(t.Context(), draft("b", 1))
			return err
		})
		return nil
	})
	inA, inB := dump(t, a), dump(t, b)
	if len(inA.Records) != 0 || len(inB.Records) != 1 || inA.Head.Epoch == inB.Head.Epoch {
		t.Errorf("a holds %+v, b holds %+v, want one record in b and two epochs", inA, inB)
	}
}

func TestCommitsAreDurableWhateverTheServerSays(t *testing.T) {
	st := openAt(t, pgtest.Database(t)+"&synchronous_commit=off")
	update(t, st, func(tx *store.Tx) error {
		if got, err := tx.Show(t.Context(), "synchronous_commit"); err != nil || got != "on" {
			t.Errorf("synchronous_commit: got %q, %v, want on", got, err)
		}
		return nil
	})
}

// Where an id and what refers to it are compared by different rules PostgreSQL uses
// no index for it.
func TestIDsAreComparedByteByByte(t *testing.T) {
	st := openAt(t, pgtest.Database(t))
	err := st.View(t.Context(), func(tx *store.Tx) error {
		others, err := tx.Text(t.Context(), `SELECT COALESCE(string_agg(table_name || '.' || column_name, ', '), '')
			FROM information_schema.columns WHERE table_schema = current_schema AND data_type = 'text'
			AND (column_name ~ '(^|_)id$|_by$' OR column_name = 'owner') AND collation_name IS DISTINCT FROM 'C'`)
		if others != "" {
			t.Errorf("not compared byte by byte: %s", others)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestDatabaseHasToBeUTF8(t *testing.T) {
	c := pgtest.Shared(t)
	if _, err := c.Run("createdb", "--template=template0", "--encoding=LATIN1", "--locale=C", "latin"); err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/latin"
	st, err := store.Open(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer st.Close()
	if _, err := st.Migrate(t.Context()); err == nil || !strings.Contains(err.Error(), "LATIN1") {
		t.Errorf("Migrate: got %v, want the encoding named", err)
	}
}

func TestErrorsHoldNoPassword(t *testing.T) {
	for _, address := range []string{
		"postgres://u:s3cret@127.0.0.1:1/larder", "postgres://u:s3cret@127.0.0.1:x/larder", "postgres://u:s3cret/x@127.0.0.1:1/larder",
		"postgres://u@127.0.0.1:1/larder?password=s3cret", "postgres://u:s3cret%@127.0.0.1/larder", "postgresql://u:s3cret@127.0.0.1:1/x?sslmode=perhaps",
		"postgres:// u:s3cret@127.0.0.1/", "postgres:u:s3cret@127.0.0.1",
	} {
		st, err := store.Open(t.Context(), address)
		if err == nil {
			st.Close()
			t.Errorf("%s: opened", address)
		} else if strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: the error holds the password: %v", address, err)
		}
	}
}

func TestSilentServerIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		c := store.Impatient(near)
		defer c.Close()
		read := func(want time.Duration) {
			t.Helper()
			begun := time.Now()
			_, err := c.Read(make([]byte, 1))
			if got := time.Since(begun); !errors.Is(err, os.ErrDeadlineExceeded) || got != want {
				t.Errorf("read: got %v after %s, want the deadline after %s", err, got, want)
			}
		}
		read(store.Silence)
		for _, asked := range []time.Duration{time.Second, 2 * store.Silence} {
			if err := c.SetDeadline(time.Now().Add(asked)); err != nil {
				t.Fatal(err)
			}
			read(min(asked, store.Silence))
		}
		if err := c.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		read(store.Silence)
		go func() { _, _ = far.Write([]byte("x")) }()
		if n, err := c.Read(make([]byte, 1)); n != 1 || err != nil {
			t.Errorf("a server that speaks: %d, %v", n, err)
		}
	})
}
