package socketio

import (
	"slices"
	"time"

	"larder/engineio"
)

// This file is the half of MemoryRecovery that keeps events; memory.go keeps who
// may come back for them.

// expireLocked forgets who and what is too old or too much.
func (m *MemoryRecovery) expireLocked() {
	now := time.Now()
	for first := m.away.Front(); first != nil; first = m.away.Front() {
		x := first.Value.(*memorySession)
		if m.away.Len() <= m.cfg.MaxSessions && now.Sub(x.leftAt) <= m.cfg.Window {
			break
		}
		m.away.Remove(first)
		delete(m.sessions, x.pid)
	}
	for len(m.events) > 0 {
		old := now.Sub(m.events[0].at) > m.cfg.Window
		if !old && len(m.events) <= m.cfg.MaxEvents && m.bytes <= m.cfg.MaxBytes {
			break
		}
		if !old {
			m.overrun = m.beforeLocked() + 1
		}
		m.bytes -= m.events[0].bytes
		m.events[0] = memoryEvent{}
		m.events = m.events[1:]
	}
}

// beforeLocked is the position before the first event that is kept.
func (m *MemoryRecovery) beforeLocked() uint64 { return m.head - uint64(len(m.events)) }

// emit keeps an event and sends it. Nothing joins, moves or leaves in between,
// and no other event overtakes it on its way into the queues. R-10
func (m *MemoryRecovery) emit(parent *Parent, n *Namespace, ev *Event, except, rooms []string) (sockets int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	namespaces := []*Namespace{n}
	e := memoryEvent{parent: parent}
	if parent != nil {
		namespaces = parent.Namespaces()
	} else {
		e.namespace = n.name
	}
	e.rooms, e.except = slices.Clone(rooms), slices.Clone(except)
	ev = m.keepLocked(ev, e)
	for _, n := range namespaces {
		to := n.members.members(rooms, except)
		if len(to) == 0 {
			continue
		}
		for _, s := range to {
			_ = m.sendLocked(s, ev.messages(s.conn.parser, n))
		}
		sockets += len(to)
	}
	return sockets
}

// emitTo is emit to a single socket.
func (m *MemoryRecovery) emitTo(s *Socket, ev *Event) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if p := phase(s.phase.Load()); p != phaseAnswering && p != phaseJoined {
		return ErrNotConnected
	}
	ev = m.keepLocked(ev, memoryEvent{namespace: s.nsp.name, rooms: []string{s.ID()}})
	return m.sendLocked(s, ev.messages(s.conn.parser, s.nsp))
}

func (m *MemoryRecovery) sendLocked(s *Socket, messages []*engineio.Message) error {
	if x := s.memory(); x != nil && x.socket == s {
		x.last = m.head
	}
	return s.send(messages, false)
}

// keepLocked gives an event its place.
func (m *MemoryRecovery) keepLocked(ev *Event, e memoryEvent) *Event {
	m.head++
	e.event, e.at = ev.WithOffset(m.offset(m.head)), time.Now()
	e.bytes = 200 + len(ev.data)
	for _, a := range ev.attachments {
		e.bytes += messageCost(a)
	}
	for _, name := range slices.Concat(e.rooms, e.except) {
		e.bytes += 16 + len(name)
	}
	m.bytes += e.bytes
	m.events = append(m.events, e)
	m.expireLocked()
	return e.event
}

// sendReady tells a socket how far it is. R-8
func (m *MemoryRecovery) sendReady(s *Socket) {
	m.mu.Lock()
	defer m.mu.Unlock()
	_ = s.send(m.ready.WithOffset(m.offset(m.head)).messages(s.conn.parser, s.nsp), false) // nobody left to tell
}

// move changes the rooms of sockets.
func (m *MemoryRecovery) move(sockets func() []*Socket, change func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	moved := sockets()
	change()
	for _, s := range moved {
		m.movedLocked(s)
	}
}

// movedLocked notes what rooms a socket is in by now.
func (m *MemoryRecovery) movedLocked(s *Socket) {
	x := s.memory()
	if x == nil || x.socket != s {
		return
	}
	now := s.nsp.members.noted(s)
	kept := x.rooms[:0]
	for _, r := range x.rooms {
		if r.lost || slices.Contains(now, r.name) {
			kept = append(kept, r)
			continue
		}
		x.floor, x.cleared = max(x.floor, x.last), m.head
	}
	clear(x.rooms[len(kept):])
	x.rooms = kept
	for _, name := range now {
		if !slices.ContainsFunc(x.rooms, func(r memoryRoom) bool { return r.name == name && !r.lost }) {
			x.rooms = slices.DeleteFunc(x.rooms, func(r memoryRoom) bool { return r.name == name })
			x.rooms = append(x.rooms, memoryRoom{name: name, since: m.head})
		}
	}
}

// missedLocked returns what x has missed after pos, and the position of the last
// of it. It begins at the place of pos, not at the first event.
func (m *MemoryRecovery) missedLocked(x *memorySession, pos uint64) (missed []*Event, last uint64, err error) {
	from := max(pos, x.cleared)
	switch {
	case pos < x.floor || pos > m.head:
		return nil, 0, UnrecoveredOffset
	case pos >= x.last && x.socket == nil:
		from = max(pos, x.left) // it has seen all that it was sent
	}
	before, bytes := m.beforeLocked(), 0
	switch {
	case from >= before:
	case from < m.overrun:
		return nil, 0, UnrecoveredLimit
	default:
		return nil, 0, UnrecoveredWindow
	}
	for i := from - before; i < uint64(len(m.events)); i++ {
		e := &m.events[i]
		if at := before + i + 1; x.hears(e, at) {
			missed, last = append(missed, e.event), at
			if bytes += e.bytes; bytes > m.cfg.MaxReplayBytes {
				return nil, 0, UnrecoveredLimit
			}
		}
	}
	return missed, last, nil
}

// hears reports whether the event at that position is for x.
func (x *memorySession) hears(e *memoryEvent, at uint64) bool {
	if e.namespace != x.namespace && (e.parent == nil || e.parent != x.parent) {
		return false
	}
	for _, name := range e.except {
		if x.in(name, at, true) {
			return false
		}
	}
	for _, name := range e.rooms {
		if x.in(name, at, false) {
			return true
		}
	}
	return len(e.rooms) == 0
}

func (x *memorySession) in(room string, at uint64, orLost bool) bool {
	if room == x.id {
		return true
	}
	for _, r := range x.rooms {
		if r.name == room && r.since < at && (orLost || !r.lost) {
			return true
		}
	}
	return false
}
