package engineio

import (
	"slices"
	"sync"
	"time"
)

const (
	// workerIdle is how long a worker without work stays.
	workerIdle = 5 * time.Second

	// workersKept is how many workers may wait for work.
	workersKept = 64
)

// workers call the application for the readers of WebSockets. What a Receiver
// does, such as decoding JSON or asking a database, grows the stack of the
// goroutine that it runs on, and a goroutine that waits for its next message
// keeps that stack: with thousands of connections that was most of their
// memory. So readers stay small and lend the call to a worker, whose stack has
// grown already. The reader waits for it: order and turns are as if it had
// made the call itself.
type workers struct {
	running sync.WaitGroup

	mu     sync.Mutex
	idle   []*worker // the one that was busy last is the last
	closed bool
}

// worker makes one call at a time.
type worker struct {
	calls chan call // capacity 1; closed: no more are coming
	done  chan error
}

// call is one thing to do: hand p on or, with upgraded, tell of the upgrade.
type call struct {
	session  *Session
	packet   Packet
	upgraded bool
}

func (c call) run() error {
	if !c.upgraded {
		return c.session.handle(c.packet)
	}
	if u, ok := c.session.receiver.(UpgradeReceiver); ok {
		u.Upgraded() // E-51
	}
	return nil
}

// do makes a call on a worker, and waits until it has returned.
func (ws *workers) do(c call) error {
	w := ws.get()
	w.calls <- c
	err := <-w.done
	ws.put(w)
	return err
}

func (ws *workers) get() *worker {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if n := len(ws.idle); n > 0 {
		w := ws.idle[n-1]
		ws.idle[n-1] = nil
		ws.idle = ws.idle[:n-1]
		return w
	}
	w := &worker{calls: make(chan call, 1), done: make(chan error, 1)}
	ws.running.Go(func() { ws.work(w) })
	return w
}

// put makes a worker wait for the next call, or end if enough do.
func (ws *workers) put(w *worker) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if ws.closed || len(ws.idle) >= workersKept {
		close(w.calls)
		return
	}
	ws.idle = append(ws.idle, w)
}

// work is the goroutine of a worker.
func (ws *workers) work(w *worker) {
	patience := time.NewTimer(workerIdle)
	defer patience.Stop()
	for {
		select {
		case c, more := <-w.calls:
			if !more {
				return
			}
			w.done <- c.run()
			patience.Reset(workerIdle)
		case <-patience.C:
			if ws.retire(w) {
				return
			}
			patience.Reset(workerIdle) // somebody has just taken it
		}
	}
}

// retire takes a worker off those that wait. It reports false if it is not one
// of them any more.
func (ws *workers) retire(w *worker) bool {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	for i, other := range ws.idle {
		if other == w {
			ws.idle = slices.Delete(ws.idle, i, i+1)
			return true
		}
	}
	return false
}

// close ends the workers that wait, and from now on each that comes back.
func (ws *workers) close() {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	ws.closed = true
	for _, w := range ws.idle {
		close(w.calls)
	}
	ws.idle = nil
}
