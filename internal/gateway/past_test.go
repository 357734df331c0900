package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"larder/internal/eventlog"
	"larder/internal/fanout"
	"larder/internal/gateway"
	"larder/internal/query"
	"larder/internal/store"
)

// archive is a log on disk and the past that is read from it.
type archive struct {
	gateway.Past
	t     *testing.T
	store *store.Store
	reads atomic.Int64
	gate  chan struct{} // when it is not nil, a read that is done waits for it
	epoch string
}

// newArchive makes a log of so many records.
func newArchive(t *testing.T, records int) *archive {
	t.Helper()
	st, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "larder.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = st.Close() })
	if _, err := st.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := &archive{t: t, store: st}
	a.append(records, 10)
	head, err := st.Log().Head(t.Context())
	if err != nil || head.Seq != int64(records) {
		t.Fatalf("head: got %v, %v", head, err)
	}
	a.epoch = head.Epoch
	queries := query.NewService(st, time.UTC)
	a.Past = gateway.NewPast(func(ctx context.Context, after, upTo int64) (query.Stretch, error) {
		a.reads.Add(1)
		got, err := queries.Stretch(ctx, after, upTo)
		if a.gate != nil {
			<-a.gate
		}
		return got, errors.Join(err, ctx.Err())
	}, fanout.New(head, slog.New(slog.DiscardHandler)))
	return a
}

func (a *archive) append(records, size int) {
	a.t.Helper()
	drafts := make([]eventlog.Draft, records)
	for i := range drafts {
		drafts[i] = eventlog.Draft{Type: "x", Payload: fmt.Appendf(nil, `{"n":"%0*d"}`, size, i), At: time.Now()}
	}
	err := a.store.Update(a.t.Context(), func(tx *store.Tx) error {
		_, err := tx.Append(a.t.Context(), drafts...)
		return err
	})
	if err != nil {
		a.t.Fatal(err)
	}
}

func (a *archive) at(seq int64) eventlog.Position { return eventlog.Position{Epoch: a.epoch, Seq: seq} }

// walk wants everything from one number to another, once and in order.
func (a *archive) walk(from, to int64) {
	for at := a.at(from); at.Seq < to; {
		messages, _, upTo, err := a.After(a.t.Context(), at)
		if err != nil {
			a.t.Error(err)
			return
		}
		for _, m := range messages {
			if at.Seq++; m.Record.Position != at {
				a.t.Errorf("got %v, want %v", m.Record.Position, at)
				return
			}
		}
		if at != upTo {
			a.t.Errorf("%v is missing before %v", at, upTo)
			return
		}
	}
}

// However many come back, each stretch is read once; when they are through, none is
// kept.
func TestStretchesAreReadOnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArchive(t, 3*1024)
		var crowd sync.WaitGroup
		for i := range 100 {
			crowd.Go(func() {
				<-time.After(time.Duration(i%3) * 9 * time.Second) // some of them late
				a.walk(int64(i*20), 3*1024)
			})
		}
		crowd.Wait()
		if n := a.reads.Load(); n != 3 || a.Kept() != 3 {
			t.Errorf("100 clients: %d reads, %d stretches kept, want 3", n, a.Kept())
		}
		<-time.After(9 * time.Second)
		a.walk(0, 1024)
		<-time.After(9 * time.Second)
		if a.Kept() != 3 {
			t.Errorf("a while after the last: %d stretches, want 3", a.Kept())
		}
		<-time.After(2 * time.Second)
		if a.Kept() != 0 {
			t.Errorf("ten seconds after the last: %d stretches are kept", a.Kept())
		}
		a.walk(0, 3*1024) // and again
	})
}

// What is kept is bounded by bytes.
func TestStretchesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArchive(t, 0)
		const size = 20_000 // 21 MB a stretch
		for range 4 {
			a.append(1024, size)
		}
		a.walk(0, 4*1024)
		if a.Kept() != 2 {
			t.Errorf("got %d stretches of 21 MB, want two", a.Kept())
		}
		a.walk(0, 4*1024)
	})
}

// A stretch at the head is as long as the log was: who wants more reads anew, be it
// that the read had begun before.
func TestStretchAtTheHead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArchive(t, 1500)
		a.walk(0, 1500)
		a.append(10, 10)
		a.walk(1500, 1510)
		a.gate = make(chan struct{})
		var both sync.WaitGroup
		both.Go(func() { a.walk(1505, 1510) })
		synctest.Wait()
		a.append(10, 10)
		both.Go(func() { a.walk(1510, 1520) }) // waits for the read of the other, which knows of nothing after 1510
		synctest.Wait()
		close(a.gate)
		both.Wait()
		if a.Kept() != 1 {
			t.Errorf("got %d stretches, want the first alone", a.Kept())
		}
		a.append(5, 10) // and its end is there for all who are at it
		if _, _, upTo, err := a.After(t.Context(), a.at(1520)); err != nil || upTo.Seq != 1525 {
			t.Errorf("up to %v, %v", upTo, err)
		}
		if messages, _, upTo, err := a.After(t.Context(), a.at(1525)); err != nil || upTo.Seq != 1525 || len(messages) != 0 {
			t.Errorf("at the head: %d messages up to %v, %v", len(messages), upTo, err)
		}
	})
}

// Few read at once. Who waits for a turn too long gives up, and those who wait for
// the same do not; the time of a read begins with its turn.
func TestTurnsToReadTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArchive(t, 6*1024)
		a.gate = make(chan struct{})
		var crowd sync.WaitGroup
		for i := range int64(4) {
			crowd.Go(func() { a.walk(1024*i, 1024*(i+1)) })
		}
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), 8*time.Second)
		defer cancel()
		crowd.Go(func() {
			if _, _, _, err := a.After(short, a.at(5000)); !errors.Is(err, gateway.ErrNoTurn) {
				t.Errorf("waited too long: got %v", err)
			}
		})
		synctest.Wait()
		crowd.Go(func() { a.walk(5000, 5120) })
		crowd.Go(func() { a.walk(5120, 6*1024) })
		synctest.Wait()
		if n := a.reads.Load(); n != 4 {
			t.Errorf("%d read at once, want 4", n)
		}
		<-time.After(9 * time.Second)
		close(a.gate)
		crowd.Wait()
		if n := a.reads.Load(); n != 6 {
			t.Errorf("%d reads, want 6", n)
		}
	})
}

// A read that fails fails for all who wait for it, and is not remembered.
func TestStretchThatCannotBeRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArchive(t, 1024)
		a.gate = make(chan struct{})
		var crowd sync.WaitGroup
		for range 3 {
			crowd.Go(func() {
				if _, _, _, err := a.After(t.Context(), a.at(0)); !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("got %v, want the end of the read's time", err)
				}
			})
		}
		<-time.After(11 * time.Second)
		close(a.gate)
		crowd.Wait()
		if n := a.reads.Load(); n != 1 || a.Kept() != 0 {
			t.Errorf("%d reads, %d kept, want one read", n, a.Kept())
		}
		a.walk(0, 1024)
	})
}

// What retention took is not in a stretch, and the stretch says so.
func TestStretchAtTheTail(t *testing.T) {
	a := newArchive(t, 1024)
	err := a.store.Update(t.Context(), func(tx *store.Tx) error {
		_, _, err := tx.Prune(t.Context(), time.Now().Add(time.Hour), 300)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	messages, from, upTo, err := a.After(t.Context(), a.at(100))
	if err != nil || from.Seq != 300 || upTo.Seq != 1024 || len(messages) != 724 {
		t.Errorf("got %d messages from %v up to %v, %v", len(messages), from, upTo, err)
	}
}

// A client may have heard elsewhere what this node has not delivered yet: it waits
// for that, but not for what nobody can have heard.
func TestReachWaitsForANodeThatIsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newArchive(t, 20)
		f := fanout.New(a.at(10), slog.New(slog.DiscardHandler))
		queries := query.NewService(a.store, time.UTC)
		for pos, want := range map[eventlog.Position]string{
			a.at(9): "", a.at(10): "", a.at(21): query.ReasonAhead,
			{Epoch: "zzzzzzzzzzzz", Seq: 5}: query.ReasonEpoch,
		} {
			if gap, err := gateway.Reach(t.Context(), queries, f, pos); err != nil || gap != want {
				t.Errorf("%v: got %q, %v, want %q", pos, gap, err, want)
			}
		}
		reached := make(chan error, 1)
		ctx, leave := context.WithCancel(t.Context())
		reach := func(seq int64) {
			gap, err := gateway.Reach(ctx, queries, f, a.at(seq))
			if gap != "" {
				t.Errorf("%d: %s", seq, gap)
			}
			reached <- err
		}
		go reach(12)
		for seq := int64(11); seq <= 12; seq++ {
			synctest.Wait()
			if len(reached) > 0 {
				t.Fatalf("at %v: got to 12", f.Position())
			}
			f.Publish(t.Context(), []eventlog.Record{{Position: a.at(seq)}})
		}
		if err := <-reached; err != nil {
			t.Errorf("at 12: %v", err)
		}
		go reach(15)
		<-time.After(11 * time.Second)
		if err := <-reached; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("waiting for ever: %v", err)
		}
		go reach(15)
		synctest.Wait()
		leave()
		if err := <-reached; !errors.Is(err, context.Canceled) {
			t.Errorf("the client has gone: %v", err)
		}
	})
}

// Of the sockets that have left on purpose the last are remembered.
func TestEndedSocketsAreBounded(t *testing.T) {
	var e gateway.Ended
	for i := range 10_003 {
		e.Add(fmt.Sprint(i))
	}
	for i, want := range map[int]bool{0: false, 2: false, 3: true, 10_002: true, 10_003: false} {
		if got := e.Has(fmt.Sprint(i)); got != want {
			t.Errorf("socket %d of 10,003: remembered %t, want %t", i, got, want)
		}
	}
}
