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

func TestKeptFailures(t *testing.T) {
	var k kept[string, int]
	broken := errors.New("broken")
	if _, err := k.get(t.Context(), "a", func() (int, time.Duration, error) { return 1, time.Hour, broken }); !errors.Is(err, broken) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	n, err := k.get(ctx, "a", func() (int, time.Duration, error) {
		// Whoever waits meanwhile leaves when he wants to.
		cancel(broken)
		if _, err := k.get(ctx, "a", nil); !errors.Is(err, broken) {
			t.Errorf("waiting: got %v", err)
		}
		return 2, time.Hour, nil
	})
	if n != 2 || err != nil {
		t.Errorf("after an error: got %d, %v", n, err)
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
