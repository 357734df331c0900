package engineio

import (
	"errors"
	"runtime"
	"sync"
	"syscall"
)

const (
	// writerShare is how many sessions are taken off the list at once.
	writerShare = 32

	// writerBacklog is how many sessions wait before one more writer helps.
	writerBacklog = 64

	// readyKept is how long a list is kept when it is empty.
	readyKept = 8 << 10
)

// writers carry out what is queued on TCP connections. Senders only put the
// session on a list. With few sessions on it that is one write(2) for each
// message, as in a plain loop. When senders are faster than the network, what
// they queue meanwhile leaves in one write when the session's turn comes.
//
// A writer never waits for a peer: what a socket does not take at once it
// leaves to a goroutine of that session. So a few are enough: half as many as
// processors, and none while there is nothing to write. The sender is busy on
// another, and on two processors a second writer cost a tenth more than it
// helped.
type writers struct {
	running sync.WaitGroup

	mu     sync.Mutex
	ready  []*Session // ready[head:] have something to write, in order
	head   int
	active int    // writers
	most   int    // writers, looked up when the first one starts
	start  func() // write, made once: a go statement then allocates nothing
}

// add puts a session on the list. It is not on it already.
func (ws *writers) add(s *Session) {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	if len(ws.ready) == cap(ws.ready) && ws.head > len(ws.ready)/2 {
		n := copy(ws.ready, ws.ready[ws.head:])
		clear(ws.ready[n:])
		ws.ready, ws.head = ws.ready[:n], 0
	}
	ws.ready = append(ws.ready, s)
	if ws.active == 0 {
		ws.most = max(1, runtime.GOMAXPROCS(0)/2)
	}
	if ws.active == 0 || ws.active < ws.most && len(ws.ready)-ws.head > ws.active*writerBacklog {
		ws.active++
		if ws.start == nil {
			ws.start = ws.write
		}
		ws.running.Add(1)
		go ws.start()
	}
}

// next takes some sessions off the list. If there are none the writer ends.
func (ws *writers) next(dst []*Session) []*Session {
	ws.mu.Lock()
	defer ws.mu.Unlock()
	n := min(len(ws.ready)-ws.head, writerShare)
	dst = append(dst[:0], ws.ready[ws.head:ws.head+n]...)
	clear(ws.ready[ws.head : ws.head+n])
	ws.head += n
	if ws.head == len(ws.ready) {
		ws.ready, ws.head = ws.ready[:0], 0
	}
	if n == 0 {
		ws.active--
		if cap(ws.ready) > readyKept {
			ws.ready = nil
		}
	}
	return dst
}

// write is the goroutine of a writer.
func (ws *writers) write() {
	defer ws.running.Done()
	w := writerPool.Get().(*writer)
	defer writerPool.Put(w)
	var share [writerShare]*Session
	for {
		sessions := ws.next(share[:0])
		if len(sessions) == 0 {
			return
		}
		for i, s := range sessions {
			sessions[i] = nil
			s.flushReady(w)
		}
	}
}

// writerPool keeps what a writer needs from one time to the next.
var writerPool = sync.Pool{New: func() any {
	w := new(writer)
	w.attempt = w.writeRaw
	return w
}}

// writer writes to one connection after the other without waiting.
type writer struct {
	batch   []*Message
	raw     syscall.RawConn
	attempt func(fd uintptr) // w.writeRaw, made once
	data    []byte           // what to write
	n       int              // how much was written
	err     error
}

// errNotReady says that a socket takes no more now.
var errNotReady = errors.New("engineio: socket is full")

// Write implements io.Writer without waiting. It does not go through the
// connection's own Write, which would wait; nor through RawConn.Write, which
// looks at the deadline of a flush that is long over. That nobody else writes
// at the same time is up to Session.flushing.
func (w *writer) Write(b []byte) (int, error) {
	w.data, w.n, w.err = b, 0, nil
	if err := w.raw.Control(w.attempt); err != nil {
		return 0, err
	}
	if w.err == nil && w.n < len(b) {
		return w.n, errNotReady
	}
	return w.n, w.err
}

func (w *writer) writeRaw(fd uintptr) { w.n, w.err = writeReady(fd, w.data) }
