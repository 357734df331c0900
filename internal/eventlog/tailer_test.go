package eventlog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"larder/internal/eventlog"
)

// memory is a log in memory that can be made to fail.
type memory struct {
	mu    sync.Mutex // guards all below
	epoch string
	recs  []eventlog.Record
	err   error
	reads int
	tail  int64
}

func (m *memory) Tail(context.Context) (eventlog.Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return eventlog.Position{Epoch: m.epoch, Seq: m.tail}, m.err
}

// prune removes the records up to a number.
func (m *memory) prune(through int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tail = through
}

func (m *memory) Head(context.Context) (eventlog.Position, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return eventlog.Position{Epoch: m.epoch, Seq: int64(len(m.recs))}, m.err
}

func (m *memory) Since(ctx context.Context, seq int64, limit int) ([]eventlog.Record, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reads++
	if err := errors.Join(m.err, ctx.Err()); err != nil {
		return nil, err
	}
	after := m.recs[min(int(max(seq, m.tail)), len(m.recs)):]
	return append([]eventlog.Record(nil), after[:min(limit, len(after))]...), nil
}

func (m *memory) append(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for range n {
		m.recs = append(m.recs, eventlog.Record{Position: eventlog.Position{Epoch: m.epoch, Seq: int64(len(m.recs) + 1)}})
	}
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// tail is a running tailer with what it has handed on. It is made inside a bubble.
type tail struct {
	source *memory
	waker  *eventlog.Waker
	stop   context.CancelFunc
	done   chan error
	logs   bytes.Buffer

	mu    sync.Mutex // guards seen and calls
	seen  []int64
	calls int
}

// startTail runs a tailer on a log that holds before records already.
func startTail(t *testing.T, before int) *tail {
	t.Helper()
	tl := &tail{source: &memory{epoch: epoch}, waker: eventlog.NewWaker(), done: make(chan error, 1)}
	tl.source.append(before)
	sink := func(_ context.Context, recs []eventlog.Record) {
		tl.mu.Lock()
		defer tl.mu.Unlock()
		tl.calls++
		for _, r := range recs {
			tl.seen = append(tl.seen, r.Position.Seq)
		}
	}
	tailer := eventlog.NewTailer(tl.source, tl.waker, sink, slog.New(slog.NewTextHandler(&tl.logs, nil)))
	p, err := tailer.Start(t.Context())
	if want := (eventlog.Position{Epoch: epoch, Seq: int64(before)}); err != nil || p != want {
		t.Fatalf("Start: got %v, %v, want %v", p, err, want)
	}
	ctx, stop := context.WithCancel(t.Context())
	tl.stop = stop
	go func() { tl.done <- tailer.Run(ctx) }()
	synctest.Wait()
	return tl
}

// end stops the tailer and wants the records from first to last, each once and in
// order.
func (tl *tail) end(t *testing.T, first, last int64) {
	t.Helper()
	tl.stop()
	synctest.Wait()
	select {
	case err := <-tl.done:
		if err != nil {
			t.Errorf("Run: got %v, want nil when its context ends", err)
		}
	default:
		t.Fatal("Run goes on after its context ended")
	}
	tl.wantSeen(t, first, last)
}

func (tl *tail) wantSeen(t *testing.T, first, last int64) {
	t.Helper()
	tl.mu.Lock()
	defer tl.mu.Unlock()
	want := []int64{}
	for i := first; i <= last; i++ {
		want = append(want, i)
	}
	if got := tl.seen; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("records handed on: got %v, want %d to %d", got, first, last)
	}
}

func TestTailerFollowsHints(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tl := startTail(t, 3) // what was there before is not told
		began := time.Now()
		for range 5 {
			tl.source.append(2)
			tl.waker.Wake()
			synctest.Wait()
		}
		tl.wantSeen(t, 4, 13)
		if time.Since(began) != 0 {
			t.Errorf("following hints took %v", time.Since(began))
		}
		tl.end(t, 4, 13)
	})
}

func TestTailerLostHintCostsAPoll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tl := startTail(t, 0)
		<-time.After(300 * time.Millisecond)
		tl.source.append(1) // and nobody says so
		<-time.After(199 * time.Millisecond)
		synctest.Wait()
		tl.wantSeen(t, 1, 0)
		<-time.After(2 * time.Millisecond)
		synctest.Wait()
		tl.wantSeen(t, 1, 1)
		tl.end(t, 1, 1)
	})
}

func TestTailerReadsALongBacklogInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tl := startTail(t, 0)
		began := time.Now()
		for _, n := range []int{1, 512, 513, 5000} {
			tl.source.append(n)
			tl.waker.Wake()
			synctest.Wait()
		}
		if time.Since(began) != 0 {
			t.Errorf("the backlog took %v", time.Since(began))
		}
		tl.mu.Lock()
		if tl.calls < 12 {
			t.Errorf("6026 records came in %d calls, want parts of at most 512", tl.calls)
		}
		tl.mu.Unlock()
		tl.end(t, 1, 1+512+513+5000)
	})
}

func TestTailerOutlivesAFailingSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tl := startTail(t, 0)
		tl.source.append(1)
		tl.waker.Wake()
		synctest.Wait()
		for round := range 2 {
			tl.source.fail(fmt.Errorf("disk on fire, round %d", round))
			for range 30 {
				tl.source.append(20)
				tl.waker.Wake()
				<-time.After(time.Second)
			}
			tl.source.fail(nil)
			<-time.After(time.Second + time.Millisecond)
			synctest.Wait()
			tl.wantSeen(t, 1, 1+600*int64(round+1))
		}
		tl.end(t, 1, 1201)
		lines := strings.Split(strings.TrimSpace(tl.logs.String()), "\n")
		if len(lines) != 4 {
			t.Fatalf("two failures and two recoveries made %d log lines:\n%s", len(lines), tl.logs.String())
		}
		for i, want := range []string{"level=ERROR", "level=INFO", "level=ERROR", "level=INFO"} {
			if !strings.Contains(lines[i], want) || (i%2 == 0 && !strings.Contains(lines[i], "disk on fire")) {
				t.Errorf("log line %d: %s, want %s", i, lines[i], want)
			}
		}
	})
}

func TestTailerNeverServesAnotherEpoch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tl := startTail(t, 2)
		tl.source.mu.Lock()
		tl.source.epoch, tl.source.recs = "zzzzzzzzzzzz", nil // a backup was put back
		tl.source.mu.Unlock()
		tl.source.append(10)
		for range 3 {
			tl.waker.Wake()
			<-time.After(time.Second)
		}
		tl.end(t, 1, 0)
		if got := strings.Count(tl.logs.String(), "epoch"); got != 1 {
			t.Errorf("the changed epoch was logged %d times:\n%s", got, tl.logs.String())
		}
	})
}

// What was removed before it was read is told, loudly and once, before what comes
// after it; a number that nobody has is no loss.
func TestTailerTellsWhatWasRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source := &memory{epoch: epoch}
		source.append(5)
		var logs bytes.Buffer
		var told []string
		tailer := eventlog.NewTailer(source, eventlog.NewWaker(), func(_ context.Context, recs []eventlog.Record) {
			told = append(told, fmt.Sprintf("%d-%d", recs[0].Position.Seq, recs[len(recs)-1].Position.Seq))
		}, slog.New(slog.NewTextHandler(&logs, nil)))
		tailer.OnLoss(func(upTo eventlog.Position) { told = append(told, fmt.Sprintf("lost up to %d", upTo.Seq)) })
		if _, err := tailer.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		source.append(10)
		source.prune(12)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		go func() { _ = tailer.Run(ctx) }()
		<-time.After(time.Second)
		source.prune(14) // what was read
		source.append(1)
		<-time.After(time.Second)
		source.mu.Lock()
		source.recs = append(source.recs, eventlog.Record{}, eventlog.Record{Position: eventlog.Position{Epoch: epoch, Seq: 18}})
		source.recs = append(source.recs[:16], source.recs[17]) // there is no 17
		source.mu.Unlock()
		<-time.After(time.Second)
		synctest.Wait()
		if got, want := strings.Join(told, ", "), "lost up to 12, 13-15, 16-16, 18-18"; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got := logs.String(); strings.Count(got, "level=ERROR") != 1 || !strings.Contains(got, "removed before they were read") {
			t.Errorf("logs: got %q", got)
		}
		stop()
		synctest.Wait()
	})
}

func TestTailerEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tl := startTail(t, 0)
		tl.source.fail(errors.New("away")) // even while it fails
		tl.waker.Wake()
		synctest.Wait()
		tl.end(t, 1, 0)

		ended, cancel := context.WithCancel(t.Context())
		cancel()
		var logs bytes.Buffer
		source := &memory{epoch: epoch}
		source.append(3)
		tailer := eventlog.NewTailer(source, eventlog.NewWaker(), func(context.Context, []eventlog.Record) {
			t.Error("a tailer whose context had ended handed something on")
		}, slog.New(slog.NewTextHandler(&logs, nil)))
		if err := tailer.Run(ended); err != nil || logs.Len() != 0 {
			t.Errorf("Run with an ended context: %v, logs %q", err, logs.String())
		}
	})
}

func TestTailerStartFails(t *testing.T) {
	away := errors.New("away")
	tailer := eventlog.NewTailer(&memory{err: away}, eventlog.NewWaker(), nil, slog.New(slog.DiscardHandler))
	if _, err := tailer.Start(t.Context()); !errors.Is(err, away) {
		t.Errorf("Start: got %v, want the source's error", err)
	}
}

func TestWakerMergesHints(t *testing.T) {
	w := eventlog.NewWaker()
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() {
			for range 100 {
				w.Wake() // never blocks
			}
		})
	}
	group.Wait()
	select {
	case <-w.Woken():
	default:
		t.Fatal("no hint arrived")
	}
	select {
	case <-w.Woken():
		t.Error("a thousand hints were not merged into one")
	default:
	}
	w.Wake()
	<-w.Woken() // and the next one comes
}
