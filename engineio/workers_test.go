package engineio_test

import (
	"context"
	"net"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"larder/engineio"
)

// deep uses about n KB of stack.
//
//go:noinline
func deep(n int) byte {
	var page [1024]byte
	if n > 0 {
		page[n%1024] = deep(n - 1)
	}
	return page[n%1024] + byte(n)
}

// A connection does not keep the stack that its application once needed.
func TestReadersStaySmall(t *testing.T) {
	bubble(t, func(r *rig) {
		const sessions, need = 200, 64
		var before, after runtime.MemStats
		for i := range sessions {
			c, _ := r.connect()
			r.app(i).receive = func(string) error { deep(need); return nil }
			if i == 0 {
				runtime.ReadMemStats(&before)
			}
			r.text(c, "4x")
			synctest.Wait()
		}
		runtime.ReadMemStats(&after)
		if got := (int64(after.StackInuse) - int64(before.StackInuse)) >> 10; got > sessions*need/2 {
			t.Errorf("stacks of %d sessions: %d KB, want what one call needs", sessions, got)
		}
	}, calm)
}

// Workers are as many as calls run at once. They end by themselves, and with
// the server.
func TestWorkersEnd(t *testing.T) {
	bubble(t, func(r *rig) {
		idle, _ := goroutines()
		const sessions = 100 // more than workers are kept
		release := make(chan struct{})
		for i := range sessions {
			c, _ := r.connect()
			r.app(i).receive = func(string) error { <-release; return nil }
			r.text(c, "4x")
		}
		busy, _ := goroutines()
		close(release)
		kept, _ := goroutines()
		r.sleep(time.Minute)
		none, all := goroutines()
		if busy-none != sessions || kept-none != 64 || none-idle != sessions {
			r.Errorf("goroutines: %d idle, %d with %d calls, %d after, %d a minute after\n%s",
				idle, busy, sessions, kept, none, all)
		}
	}, calm)
	bubble(t, func(r *rig) {
		before, _ := goroutines()
		for i := range 3 {
			c, _ := r.connect()
			r.text(c, "4x")
			r.wantText(c, "4x")
			go func() { _ = r.app(i).Flushed(r.Context()) }()
			go func() { _ = c.Close() }()
		}
		synctest.Wait()
		if err := r.srv.Shutdown(context.WithoutCancel(r.Context())); err != nil {
			r.Fatal(err)
		}
		if after, all := goroutines(); after != before {
			r.Errorf("goroutines: got %d, want %d:\n%s", after, before, all)
		}
	}, calm)
}

// A call that a worker is given as its patience ends is made all the same.
func TestWorkerTakenAtItsEnd(t *testing.T) {
	for range 50 {
		bubble(t, func(r *rig) {
			c, _ := r.connect()
			for range 3 {
				r.text(c, "4x")
				r.wantText(c, "4x")
				r.sleep(5 * time.Second)
			}
		}, calm)
	}
}

// A connection that waits holds no buffer.
func TestIdleReaderHoldsNoBuffer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	holds, err := engineio.HoldsBufferWaiting(client)
	if err != nil || holds {
		t.Errorf("got %v, %v; want no buffer", holds, err)
	}
}
