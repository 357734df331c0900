package socketio

import (
	"cmp"
	"container/list"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"larder/engineio"
)

// MemoryConfig is what a [MemoryRecovery] is made from. Zero fields take the
// defaults named here.
type MemoryConfig struct {
	// Window is how long a client may be away, and events are kept: 2 min.
	Window time.Duration

	MaxSessions    int // clients that are away: 10,000; the oldest are forgotten
	MaxEvents      int // kept: 10,000
	MaxBytes       int // of all events kept: 16 MiB
	MaxReplayBytes int // of what one client missed: 1 MiB

	// ReadyEvent is the name of the event that a client gets after its CONNECT
	// answer, and after what it missed: "recovery.ready". It says how far the
	// client is, without which the stock client could not come back before it
	// has heard of something. Clients need not listen to it.
	ReadyEvent string

	// User tells whose a socket is. A pid is then good for the same user only.
	// Nil: for everybody who knows it.
	User func(s *Socket) string

	// Rooms returns those of its former rooms that a socket which comes back may
	// still be in, and hear what it missed from. Nil: all.
	Rooms func(s *Socket, rooms []string) []string
}

// A MemoryRecovery keeps in memory what clients may miss: the events of Emit,
// EmitExcept and Broadcast, without the volatile ones and those that ask for an
// ack. It is for one process, and forgets everything with it. Each event gets an
// offset; one that it had before is replaced.
//
// In namespaces that use it, events are put in one order, in which every socket
// gets them, whoever emits: emitting takes turns, as do joining and leaving of
// rooms. An event emitted to one socket that is about to leave may be
// kept for it although Emit returns an error.
//
// All its namespaces share its limits. What a socket missed is what it would
// have got in the rooms that it was in at the time; if that is not known any
// more, it starts anew. Rooms that it left before it went away keep it from
// returning to an earlier time. Data is restored unless a middleware has set some.
type MemoryRecovery struct {
	cfg   MemoryConfig
	epoch string // of this process; offsets of another are not ours
	ready *Event

	mu       sync.Mutex // guards what follows, and all sessions; the first of all locks
	head     uint64     // position of the last event
	events   []memoryEvent
	bytes    int
	overrun  uint64 // the last event that was dropped for want of room
	sessions map[string]*memorySession
	away     list.List // of *memorySession, in the order of leaving
}

// A memoryEvent is kept at its position: the last of the list is that of head.
type memoryEvent struct {
	event         *Event
	namespace     string
	parent        *Parent // not nil: for all its children
	rooms, except []string
	at            time.Time
	bytes         int
}

// A memorySession is a socket over all its connections.
type memorySession struct {
	pid, id, user string
	namespace     string
	parent        *Parent
	socket        *Socket // nil: away, or not a member yet
	began         bool    // it was a member
	ended         bool    // left for good
	data          any     // while it is away
	rooms         []memoryRoom

	// Positions. Before floor it is not known what it has missed. What it was
	// sent up to cleared, it was sent before floor.
	floor, cleared uint64
	last           uint64 // what it was sent last
	left           uint64 // head when it left

	leftAt time.Time
	place  *list.Element
}

// A memoryRoom is a room that a session is in for the events after since.
type memoryRoom struct {
	name  string
	since uint64
	lost  bool // only until it went away; its exceptions still count
}

// NewMemoryRecovery checks the configuration. The result is for
// [Namespace.Recover], as it is: wrapped into something else it hears of no event.
func NewMemoryRecovery(cfg MemoryConfig) (*MemoryRecovery, error) {
	cfg.Window = cmp.Or(cfg.Window, 2*time.Minute)
	cfg.MaxSessions = cmp.Or(cfg.MaxSessions, 10_000)
	cfg.MaxEvents = cmp.Or(cfg.MaxEvents, 10_000)
	cfg.MaxBytes = cmp.Or(cfg.MaxBytes, 16<<20)
	cfg.MaxReplayBytes = cmp.Or(cfg.MaxReplayBytes, 1<<20)
	if cfg.Window < 0 || min(cfg.MaxSessions, cfg.MaxEvents, cfg.MaxBytes, cfg.MaxReplayBytes) < 0 {
		return nil, errors.New("socketio: negative limit of a memory recovery")
	}
	ready, err := NewEvent(cmp.Or(cfg.ReadyEvent, "recovery.ready"))
	if err != nil {
		return nil, fmt.Errorf("socketio: ready event: %w", err)
	}
	return &MemoryRecovery{
		cfg:      cfg,
		epoch:    rand.Text()[:epochLen],
		ready:    ready,
		sessions: make(map[string]*memorySession),
	}, nil
}

const epochLen = 10

// offset writes a position in a form that application text will not have.
func (m *MemoryRecovery) offset(pos uint64) string { return fmt.Sprintf("m%s.%016x", m.epoch, pos) }

// position reads an offset.
func (m *MemoryRecovery) position(offset string) (uint64, error) {
	if len(offset) != 1+epochLen+1+16 || offset[0] != 'm' || offset[1+epochLen] != '.' {
		return 0, UnrecoveredOffset
	}
	pos, err := strconv.ParseUint(offset[1+epochLen+1:], 16, 64)
	if err != nil {
		return 0, UnrecoveredOffset
	}
	if offset[1:1+epochLen] != m.epoch {
		return 0, UnrecoveredEpoch
	}
	return pos, nil
}

// Issue implements [Recovery].
func (m *MemoryRecovery) Issue(_ context.Context, s *Socket) (string, error) {
	x := &memorySession{pid: rand.Text(), id: s.ID(), user: m.user(s), namespace: s.nsp.name, parent: s.nsp.parent}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sessions[x.pid] = x
	return x.pid, nil
}

func (m *MemoryRecovery) user(s *Socket) string {
	if m.cfg.User == nil {
		return ""
	}
	return m.cfg.User(s)
}

// Find implements [Recovery].
func (m *MemoryRecovery) Find(_ context.Context, s *Socket, pid, offset string) (string, error) {
	user := m.user(s)
	pos, err := m.position(offset)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.expireLocked()
	x := m.sessions[pid]
	switch {
	case errors.Is(err, UnrecoveredEpoch):
		return "", err
	case x == nil || !x.began || x.namespace != s.nsp.name:
		return "", UnrecoveredUnknown
	case x.ended:
		return "", UnrecoveredEnded
	case x.user != user:
		return "", UnrecoveredRights
	case err != nil:
		return "", err
	case pos > m.head:
		return "", UnrecoveredOffset
	}
	return x.id, nil
}

var errTaken = errors.New("socketio: came back twice at once")

// Replay implements [Recovery].
func (m *MemoryRecovery) Replay(_ context.Context, s *Socket, pid, offset string, enter func() bool) ([]*Event, error) {
	pos, err := m.position(offset)
	if err != nil {
		return nil, err
	}
	rooms := m.allowed(s, pid)
	m.mu.Lock()
	defer m.mu.Unlock()
	x := m.sessions[pid]
	if x == nil {
		return nil, UnrecoveredUnknown
	}
	if x.ended {
		return nil, UnrecoveredEnded
	}
	for i := range x.rooms {
		x.rooms[i].lost = !slices.Contains(rooms, x.rooms[i].name)
	}
	missed, last, err := m.missedLocked(x, pos)
	if err != nil {
		return nil, err
	}
	if err := s.nsp.members.join(s, rooms); err != nil {
		return nil, err
	}
	if !enter() {
		return nil, errTaken
	}
	m.bindLocked(x, s)
	x.last = max(x.last, last)
	if s.Data() == nil {
		s.SetData(x.data)
	}
	x.data = nil
	return missed, nil
}

// allowed returns the rooms that a session gets back.
func (m *MemoryRecovery) allowed(s *Socket, pid string) []string {
	var rooms []string
	m.mu.Lock()
	if x := m.sessions[pid]; x != nil {
		for _, r := range x.rooms {
			if !r.lost {
				rooms = append(rooms, r.name)
			}
		}
	}
	m.mu.Unlock()
	if m.cfg.Rooms != nil {
		return m.cfg.Rooms(s, rooms)
	}
	return rooms
}

// bindLocked makes s, which is a member, the socket of x.
func (m *MemoryRecovery) bindLocked(x *memorySession, s *Socket) {
	if x.place != nil {
		m.away.Remove(x.place)
		x.place = nil
	}
	x.socket, x.began = s, true
	s.rec.Load().session = x
	m.movedLocked(s)
}

// Left implements [Recovery]. A session that has begun knows already: see remove.
func (m *MemoryRecovery) Left(_ *Socket, pid string, _ engineio.Reason, _ bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if x := m.sessions[pid]; x != nil && !x.began {
		delete(m.sessions, pid)
	}
}

// add makes a socket that begins anew a member.
func (m *MemoryRecovery) add(s *Socket) {
	m.mu.Lock()
	defer m.mu.Unlock()
	x := m.sessions[s.rec.Load().pid]
	if !s.nsp.members.add(s) || x == nil {
		return
	}
	x.floor, x.cleared, x.last = m.head, m.head, m.head
	m.bindLocked(x, s)
}

// remove takes a socket out of its namespace. From now on its session is away.
func (m *MemoryRecovery) remove(s *Socket) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.nsp.members.remove(s)
	x := s.memory()
	if x == nil || x.socket != s {
		return
	}
	s.mu.Lock()
	x.ended, x.data = s.final, s.data
	s.mu.Unlock()
	if x.ended {
		x.data, x.rooms = nil, nil
	}
	x.socket, x.left, x.leftAt = nil, m.head, time.Now()
	x.place = m.away.PushBack(x)
	m.expireLocked()
}

// memory returns the session of s. Guarded by MemoryRecovery.mu.
func (s *Socket) memory() *memorySession {
	if rec := s.rec.Load(); rec != nil {
		return rec.session
	}
	return nil
}
