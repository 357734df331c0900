package query

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k kept[string, int]
		var asked atomic.Int32
		start, life := time.Now(), 2*time.Second
		get := func(key string) int {
			n, err := k.get(t.Context(), key, func() (int, time.Duration, error) {
				<-time.After(time.Second)
				return int(asked.Add(1)), life, nil
			})
			if err != nil {
				t.Error(err)
			}
			return n
		}
		// Of those who ask at once one reads, and all get the same.
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				if n := get("a"); n != 1 {
					t.Errorf("got answer %d, want the first", n)
				}
			})
		}
		all.Wait()
		// Its life counts from when it was asked for.
		life = 0
		<-time.After(time.Until(start.Add(2*time.Second - 1)))
		if n := get("a"); n != 1 {
			t.Errorf("at the end of its life: got answer %d", n)
		}
		<-time.After(1)
		for want := 2; want < 4; want++ {
			if n := get("a"); n != want {
				t.Errorf("after its life, and with none: got answer %d, want %d", n, want)
			}
		}
		if n := get("b"); n != 4 {
			t.Errorf("another question: got answer %d", n)
		}
	})
}

// Whoever waits for a question fails with it: a store that has stalled would hold up
// one after the other, each for as long as it takes to give it up.
func TestKeptFailsForAllAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k kept[string, int]
		broken := errors.New("broken")
		start := time.Now()
		var asked atomic.Int32
		var all sync.WaitGroup
		for range 10 {
			all.Go(func() {
				_, err := k.get(t.Context(), "a", func() (int, time.Duration, error) {
					asked.Add(1)
					<-time.After(10 * time.Second)
					return 1, time.Hour, broken
				})
				if !errors.Is(err, broken) {
					t.Errorf("got %v", err)
				}
			})
		}
		all.Wait()
		if d := time.Since(start); d != 10*time.Second || asked.Load() != 1 {
			t.Errorf("asked %d times, the last heard after %v", asked.Load(), d)
		}
		if n, err := k.get(t.Context(), "a", func() (int, time.Duration, error) { return 2, 0, nil }); n != 2 || err != nil {
			t.Errorf("after that: got %d, %v", n, err)
		}
	})
}

// What is not kept is no older than the call, although somebody asks already; those
// who come meanwhile share one question more.
func TestKeptIsNoOlderThanTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k kept[string, int]
		var board atomic.Int32
		var asked atomic.Int32
		get := func(want int) {
			n, err := k.get(t.Context(), "a", func() (int, time.Duration, error) {
				asked.Add(1)
				seen := int(board.Load())
				<-time.After(time.Second)
				return seen, 0, nil
			})
			if n != want || err != nil {
				t.Errorf("got %d, %v, want %d", n, err, want)
			}
		}
		var all sync.WaitGroup
		all.Go(func() { get(0) })
		synctest.Wait()
		board.Store(1)
		for range 10 {
			all.Go(func() { get(1) })
		}
		all.Wait()
		if asked.Load() != 2 {
			t.Errorf("asked %d times", asked.Load())
		}
	})
}

// Whoever asks may leave, and so may who waits; the others ask anew.
func TestKeptWhenSomebodyLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var k kept[string, int]
		asking, leave := context.WithCancel(t.Context())
		waiting, giveUp := context.WithCancel(t.Context())
		var all sync.WaitGroup
		get := func(ctx context.Context, want int, wantErr error) {
			n, err := k.get(ctx, "a", func() (int, time.Duration, error) {
				<-time.After(time.Second)
				return 7, 0, ctx.Err()
			})
			if !errors.Is(err, wantErr) || err == nil && n != want {
				t.Errorf("got %d, %v, want %d, %v", n, err, want, wantErr)
			}
		}
		all.Go(func() { get(asking, 0, context.Canceled) })
		synctest.Wait()
		all.Go(func() { get(t.Context(), 7, nil) })
		all.Go(func() { get(waiting, 0, context.Canceled) })
		synctest.Wait()
		leave()
		giveUp()
		all.Wait()
	})
}

// A question that ends with a panic is over for those who wait.
func TestKeptOutlivesAPanic(t *testing.T) {
	var k kept[string, int]
	func() {
		defer func() { _ = recover() }()
		_, _ = k.get(t.Context(), "a", func() (int, time.Duration, error) { panic("bug") })
	}()
	if n, err := k.get(t.Context(), "a", func() (int, time.Duration, error) { return 2, 0, nil }); n != 2 || err != nil {
		t.Errorf("after it: got %d, %v", n, err)
	}
}

func TestLifeOf(t *testing.T) {
	for n, want := range map[int64]time.Duration{
		0: 0, 49_999: 0, 50_000: time.Second, 1_000_000: 20 * time.Second, 1 << 40: time.Minute,
	} {
		if got := lifeOf(n); got != want {
			t.Errorf("%d: got %v, want %v", n, got, want)
		}
	}
}
