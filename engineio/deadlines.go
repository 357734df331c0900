package engineio

import (
	"container/heap"
	"sync"
	"time"
)

// deadlines call the sessions of a server when their time has come, with one
// timer of the runtime for all. A timer each took 150 bytes, and a goroutine
// each time it went off.
//
// It is a heap, ordered by time. What a session is called for, its own deadline
// decides: see Session.tick.
type deadlines struct {
	mu    sync.Mutex
	heap  dueHeap
	timer *time.Timer          // goes off at the first of the heap; nil before first use
	clock func() time.Duration // the server's: a clock that is set must not matter
}

// due is a session's place among the deadlines, guarded by their mutex.
type due struct {
	at    time.Duration // by the server's clock
	place int           // in the heap, plus 1; 0: not in it
}

// set makes s be called at that time, and not at the one that was set before.
func (d *deadlines) set(s *Session, at time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timer == nil {
		d.timer = time.AfterFunc(at-d.clock(), d.pass)
	}
	s.due.at = at
	if s.due.place > 0 {
		heap.Fix(&d.heap, s.due.place-1)
	} else {
		heap.Push(&d.heap, s)
	}
	if s.due.place == 1 {
		d.armLocked()
	}
}

// stop makes s not be called. A call that has begun goes on.
func (d *deadlines) stop(s *Session) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if s.due.place == 0 {
		return
	}
	first := s.due.place == 1
	heap.Remove(&d.heap, s.due.place-1)
	if first {
		d.armLocked()
	}
}

// armLocked sets the timer to the first of the heap.
func (d *deadlines) armLocked() {
	if len(d.heap) == 0 {
		d.timer.Stop()
		return
	}
	d.timer.Reset(d.heap[0].due.at - d.clock())
}

// pass is the timer: it calls all whose time has come.
func (d *deadlines) pass() {
	for {
		s := d.next()
		if s == nil {
			return
		}
		s.tick()
	}
}

// next takes a session off the heap whose time has come. If there is none it
// sets the timer.
func (d *deadlines) next() *Session {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.heap) == 0 {
		return nil
	}
	if d.heap[0].due.at > d.clock() {
		d.armLocked()
		return nil
	}
	return heap.Pop(&d.heap).(*Session)
}

// dueHeap implements heap.Interface.
type dueHeap []*Session

func (h dueHeap) Len() int           { return len(h) }
func (h dueHeap) Less(i, j int) bool { return h[i].due.at < h[j].due.at }

func (h dueHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].due.place, h[j].due.place = i+1, j+1
}

func (h *dueHeap) Push(x any) {
	s := x.(*Session)
	*h = append(*h, s)
	s.due.place = len(*h)
}

func (h *dueHeap) Pop() any {
	last := len(*h) - 1
	s := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	s.due.place = 0
	return s
}
