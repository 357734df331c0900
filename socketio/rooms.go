package socketio

import (
	"slices"
	"sync"
)

// A registry knows which sockets of a namespace are in which rooms.
//
// One mutex owns both directions, so a membership is in both or in neither.
// Nothing is called while it is held: whoever sends takes a list of sockets and
// lets go first.
//
// The room of a socket's own id is not stored: the index by id is that room, so
// an idle socket costs no room of its own. S-40
type registry struct {
	mu    sync.Mutex
	ids   map[string]*Socket
	all   room
	rooms map[string]*room
	back  map[string]*Socket // by id: the last that came to be the socket of it, until it is or has failed
	mark  uint64             // the last value given out by members
}

// membership is a socket's side of the registry, guarded by the registry's mutex.
type membership struct {
	state memberState
	most  int32  // seats; 0: any number
	at    int    // in the list of all
	seats []seat // own room not included; kept through OnDisconnect
	mark  uint64 // the selection that last met this socket
}

// A seat is where a socket is in a room it has joined, so that a room needs no
// index of its members. Before the socket is connected, and after it has left,
// only the name counts.
type seat struct {
	name string
	room *room
	at   int // in room.list
}

// names returns the names of the rooms.
func (m *membership) names() []string {
	var names []string
	for _, p := range m.seats {
		names = append(names, p.name)
	}
	return names
}

// seat returns the index of a room in the seats of m, or -1.
func (m *membership) seat(name string) int {
	return slices.IndexFunc(m.seats, func(p seat) bool { return p.name == name })
}

type memberState byte

const (
	memberPending memberState = iota // not connected yet: rooms are only noted
	memberJoined
	memberGone      // never comes back
	memberForgotten // its own list is gone too
)

// add makes s a member, with the rooms it joined before. It refuses a socket
// that has left already, so a CONNECT in flight leaves no ghost, and one whose
// id is taken.
func (g *registry) add(s *Socket) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	id := s.ID()
	if s.member.state != memberPending || g.ids[id] != nil {
		return false
	}
	s.member.state = memberJoined
	if g.ids == nil {
		g.ids = make(map[string]*Socket)
		g.rooms = make(map[string]*room)
	}
	g.ids[id] = s
	s.member.at = g.all.add(s)
	for i := range s.member.seats {
		g.sitLocked(s, &s.member.seats[i])
	}
	return true
}

// remove takes s out of everything. Its own list of rooms stays readable until forget.
func (g *registry) remove(s *Socket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	joined := s.member.state == memberJoined
	s.member.state = memberGone
	if !joined {
		return
	}
	g.takeOutLocked(s)
}

func (g *registry) takeOutLocked(s *Socket) {
	delete(g.ids, s.ID())
	if moved := g.all.remove(s.member.at); moved != nil {
		moved.member.at = s.member.at
	}
	for _, p := range s.member.seats {
		g.vacateLocked(p)
	}
}

// withdraw undoes add, and the joining of other rooms than these.
func (g *registry) withdraw(s *Socket, rooms []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.member.state >= memberGone {
		return
	}
	if s.member.state == memberJoined {
		g.takeOutLocked(s)
		s.member.state = memberPending
	}
	s.member.seats = nil
	_ = g.joinLocked(s, rooms) // it was in them before
}

// noted returns the rooms that s has joined.
func (g *registry) noted(s *Socket) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return s.member.names()
}

// claim makes s the one that comes back as the socket of its id. It returns who is
// that now, and who came to be it before s and is not yet: any of them may be nil.
// Once both have been removed, nobody but s is added under that id, unless somebody
// claims it after s.
func (g *registry) claim(s *Socket) (member, earlier *Socket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.back == nil {
		g.back = make(map[string]*Socket)
	}
	id := s.ID()
	member, earlier = g.ids[id], g.back[id]
	g.back[id] = s
	return member, earlier
}

// release ends the claim of s, if nobody has claimed the id since.
func (g *registry) release(s *Socket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if id := s.ID(); g.back[id] == s {
		delete(g.back, id)
	}
	if len(g.back) == 0 {
		g.back = nil
	}
}

// forget drops the list that remove kept.
func (g *registry) forget(s *Socket) {
	g.mu.Lock()
	defer g.mu.Unlock()
	s.member.state, s.member.seats = memberForgotten, nil
}

func (g *registry) join(s *Socket, rooms []string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.joinLocked(s, rooms)
}

func (g *registry) leave(s *Socket, rooms []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.leaveRoomsLocked(s, rooms)
}

// joinAll has the members of rooms join others.
func (g *registry) joinAll(rooms, except, join []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.membersLocked(rooms, except) {
		_ = g.joinLocked(s, join) // who is in too many rooms stays out
	}
}

// leaveAll has the members of rooms leave some, which may be the same.
func (g *registry) leaveAll(rooms, except, leave []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, s := range g.membersLocked(rooms, except) {
		g.leaveRoomsLocked(s, leave)
	}
}

func (g *registry) joinLocked(s *Socket, rooms []string) error {
	for _, name := range rooms {
		if name == s.ID() || s.member.state >= memberGone || s.member.seat(name) >= 0 {
			continue
		}
		if most := int(s.member.most); most > 0 && len(s.member.seats) >= most {
			return ErrTooManyRooms
		}
		s.member.seats = append(s.member.seats, seat{name: name})
		if s.member.state == memberJoined {
			g.sitLocked(s, &s.member.seats[len(s.member.seats)-1])
		}
	}
	return nil
}

func (g *registry) leaveRoomsLocked(s *Socket, rooms []string) {
	if s.member.state >= memberGone {
		return
	}
	for _, name := range rooms {
		i := s.member.seat(name)
		if i < 0 {
			continue
		}
		p := s.member.seats[i]
		s.member.seats = slices.Delete(s.member.seats, i, i+1)
		if s.member.state == memberJoined {
			g.vacateLocked(p)
		}
	}
}

// sitLocked puts s into the room that p names.
func (g *registry) sitLocked(s *Socket, p *seat) {
	r := g.rooms[p.name]
	if r == nil {
		r = &room{}
		g.rooms[p.name] = r
	}
	p.room, p.at = r, r.add(s)
}

// vacateLocked takes the socket that sits there out of its room.
func (g *registry) vacateLocked(p seat) {
	if moved := p.room.remove(p.at); moved != nil {
		moved.member.seats[moved.member.seat(p.name)].at = p.at
	}
	if len(p.room.list) == 0 {
		delete(g.rooms, p.name)
	}
}

// roomsOf returns the rooms of s, its own first; nothing once it is forgotten.
func (g *registry) roomsOf(s *Socket) []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.member.state == memberForgotten {
		return nil
	}
	return append([]string{s.ID()}, s.member.names()...)
}

func (g *registry) len() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.all.list)
}

// members returns the union of the rooms, or everyone without rooms, each
// socket once, without those that are in a room of except. S-41
// The list is shared: read it, do not change it.
func (g *registry) members(rooms, except []string) []*Socket {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.membersLocked(rooms, except)
}

func (g *registry) membersLocked(rooms, except []string) []*Socket {
	if len(except) == 0 {
		if len(rooms) == 0 {
			return g.all.share()
		}
		if len(rooms) == 1 && g.ids[rooms[0]] == nil {
			if r := g.rooms[rooms[0]]; r != nil {
				return r.share()
			}
			return nil
		}
	}
	g.mark++
	for _, name := range except {
		for _, part := range g.partsLocked(name) {
			for _, s := range part {
				s.member.mark = g.mark
			}
		}
	}
	if len(rooms) == 0 {
		return g.pickLocked(nil, g.all.list)
	}
	var picked []*Socket
	for _, name := range rooms {
		for _, part := range g.partsLocked(name) {
			picked = g.pickLocked(picked, part)
		}
	}
	return picked
}

// partsLocked returns a room in its two parts: those who joined it, and the
// socket whose id it is.
func (g *registry) partsLocked(name string) [2][]*Socket {
	var parts [2][]*Socket
	if r := g.rooms[name]; r != nil {
		parts[0] = r.list
	}
	if s := g.ids[name]; s != nil {
		parts[1] = []*Socket{s}
	}
	return parts
}

// pickLocked appends those of list that the current selection has not met yet.
func (g *registry) pickLocked(picked, list []*Socket) []*Socket {
	for _, s := range list {
		if s.member.mark != g.mark {
			s.member.mark = g.mark
			picked = append(picked, s)
		}
	}
	return picked
}

// A room is a set of sockets whose list can be handed out without copying: it
// is copied when a member leaves a list that somebody may still be reading.
// Where in the list a socket is, the socket's own side knows.
type room struct {
	list   []*Socket
	shared bool
}

// add appends s and returns its place.
func (r *room) add(s *Socket) (at int) {
	r.list = append(r.list, s) // readers of a shared list do not look past its end
	return len(r.list) - 1
}

// remove takes out who is at that place. If another socket moves there, it is
// returned.
func (r *room) remove(at int) (moved *Socket) {
	if r.shared {
		r.list, r.shared = slices.Clone(r.list), false
	}
	last := len(r.list) - 1
	if at != last {
		moved = r.list[last]
		r.list[at] = moved
	}
	r.list[last] = nil
	if r.list = r.list[:last]; last == 0 {
		r.list = nil // after a crowd, give its memory back
	}
	return moved
}

// share returns the list for reading outside the lock.
func (r *room) share() []*Socket {
	r.shared = true
	return r.list[:len(r.list):len(r.list)]
}
