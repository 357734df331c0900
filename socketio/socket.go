package socketio

import (
	"context"
	"encoding/json"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"larder/engineio"
)

// The reasons a socket leaves a namespace for while its connection stays. The
// others are those of engineio.
const (
	ReasonClientDisconnect engineio.Reason = "client namespace disconnect"
	ReasonServerDisconnect engineio.Reason = "server namespace disconnect"
)

// A Handshake is what a client came with.
type Handshake struct {
	Auth json.RawMessage // the payload of its CONNECT packet; {} if it had none
	*engineio.Request
}

// phase is how far a socket is. It only grows.
type phase int32

const (
	phaseConnecting phase = iota // middlewares run; nothing can be sent
	phaseAnswering               // a member; what is sent waits behind the CONNECT answer
	phaseJoined
	phaseLeft
)

// readerKey is the key under which a handler's context names the connection
// whose reader the handler occupies.
type readerKey struct{}

// A Socket is one client in one namespace. It is safe for concurrent use.
type Socket struct {
	id        string
	nsp       *Namespace
	conn      *conn
	handshake Handshake

	life engineio.Lifetime // the context of the socket

	rec    atomic.Pointer[recoveryState] // nil without recovery
	phase  atomic.Int32                  // changed under mu; read alone on the way of every message
	member membership                    // guarded by nsp.members.mu

	mu       sync.Mutex // guards what follows
	backlog  *backlog   // sent while answering
	busy     bool       // the reader is in a handler of this socket
	opened   bool       // OnConnect was called
	cleared  bool       // leave has done its work
	finished bool       // finish has begun
	final    bool       // left for good: not to be recovered. S-55
	reason   engineio.Reason
	data     any
	user     string
	acks     map[uint64]chan<- Answer
}

// newSocket returns a socket that is busy connecting.
func newSocket(n *Namespace, c *conn, id string, auth json.RawMessage) *Socket {
	s := &Socket{id: id, nsp: n, conn: c, busy: true}
	s.member.most = int32(min(n.server.cfg.MaxRooms, math.MaxInt32))
	s.handshake = Handshake{Auth: auth, Request: c.session.Request()}
	return s
}

// socketContext is the context of a socket.
type socketContext Socket

// lifetime ends with the session, though nobody has told it yet.
func (c *socketContext) lifetime() *engineio.Lifetime {
	if cause, ended := c.conn.session.Ended(); ended {
		c.life.End(cause)
	}
	return &c.life
}

func (c *socketContext) Deadline() (time.Time, bool) { return c.life.Deadline() }
func (c *socketContext) Done() <-chan struct{}       { return c.lifetime().Done() }
func (c *socketContext) Err() error                  { return c.lifetime().Err() }
func (c *socketContext) Value(key any) any           { return c.lifetime().Value(key) }

// handlerContext is what the handlers of a socket are given: its context, and
// the name of the connection whose reader they occupy.
type handlerContext struct{ *socketContext }

func (s *Socket) handling() context.Context { return handlerContext{(*socketContext)(s)} }

func (c handlerContext) Value(key any) any {
	if key == (readerKey{}) {
		return c.conn
	}
	return c.socketContext.Value(key)
}

// ID returns the id that the client knows, too. It is not that of the
// connection, and differs in each namespace (S-4). A client that comes back gets
// the id that it had after the middlewares, which see another (S-53).
func (s *Socket) ID() string {
	if rec := s.rec.Load(); rec != nil && rec.id != "" {
		return rec.id
	}
	return s.id
}

// Namespace returns where the socket is.
func (s *Socket) Namespace() *Namespace { return s.nsp }

// Handshake returns what the client came with. Do not change it.
func (s *Socket) Handshake() *Handshake { return &s.handshake }

// ForgetAuth forgets the payload of the CONNECT packet: what a client has shown
// once, such as a token, need not stay in memory as long as it does. It is for
// the last middleware that reads it; Handshake then says {}.
func (s *Socket) ForgetAuth() { s.handshake.Auth = noAuth }

// noAuth is what a client without auth has shown. S-3
var noAuth = json.RawMessage(`{}`)

// Transport returns the present transport of the connection.
func (s *Socket) Transport() engineio.Transport { return s.conn.session.Transport() }

// Context is cancelled when the socket disconnects. Its cause is an
// [engineio.Cause] with the reason.
func (s *Socket) Context() context.Context { return (*socketContext)(s) }

// SetData keeps a value of the application with the socket.
func (s *Socket) SetData(v any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = v
}

// Data returns what SetData kept, or nil.
func (s *Socket) Data() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.data
}

// SetUser names the user for whom the events of this socket count, beside its
// connection (S-60). It is for the middleware that finds out who it is.
func (s *Socket) SetUser(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.user = id
}

// User returns what SetUser was told, or "".
func (s *Socket) User() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.user
}

// Join adds the socket to rooms. Those over Config.MaxRooms it does not join, and
// returns [ErrTooManyRooms]. After it has disconnected this does nothing.
func (s *Socket) Join(rooms ...string) (err error) {
	s.move(func() { err = s.nsp.members.join(s, rooms) })
	return err
}

// Leave removes the socket from rooms. The room of its own id it cannot leave.
func (s *Socket) Leave(rooms ...string) {
	s.move(func() { s.nsp.members.leave(s, rooms) })
}

// move changes the rooms of the socket.
func (s *Socket) move(change func()) {
	if m := s.nsp.memory; m != nil {
		m.move(func() []*Socket { return []*Socket{s} }, change)
	} else {
		change()
	}
}

// Rooms returns the rooms the socket is in, first that of its own id. It still
// does so in OnDisconnect, and returns nothing afterwards. S-40
func (s *Socket) Rooms() []string { return s.nsp.members.roomsOf(s) }

// Emit sends an event to this socket, after everything that was sent to it
// before. It does not wait. A volatile event may come back with [ErrDropped].
func (s *Socket) Emit(ev *Event) error {
	s.nsp.trace(ev, 1)
	if m := s.nsp.memory; m != nil && !ev.volatile {
		return m.emitTo(s, ev)
	}
	return s.send(ev.messages(s.conn.parser, s.nsp), ev.volatile)
}

// Broadcast sends an event to every other socket of the namespace, or of the
// union of the rooms, under the rules of [Namespace.Emit]. S-41
func (s *Socket) Broadcast(ev *Event, rooms ...string) {
	s.nsp.EmitExcept(ev, []string{s.ID()}, rooms...)
}

// send queues messages next to each other, so that attachments follow their
// packet (S-30). What is volatile leaves at once or not at all (S-42).
func (s *Socket) send(messages []*engineio.Message, volatile bool) error {
	switch phase(s.phase.Load()) {
	case phaseAnswering:
		if volatile {
			return ErrDropped // the CONNECT answer goes first
		}
		if held, err := s.hold(messages); held {
			return err
		}
		return s.send(messages, false) // it is no longer answering
	case phaseJoined:
		if volatile && !s.conn.session.Writable() {
			return ErrDropped
		}
		return s.conn.session.Send(messages...)
	case phaseConnecting, phaseLeft:
	}
	return ErrNotConnected
}

// hold keeps messages until the CONNECT answer, and what the client missed, is
// queued. A client that is too slow for that is closed. It reports false if the
// socket is no longer answering.
func (s *Socket) hold(messages []*engineio.Message) (bool, error) {
	s.mu.Lock()
	if phase(s.phase.Load()) != phaseAnswering {
		s.mu.Unlock()
		return false, nil
	}
	if s.backlog == nil {
		s.backlog = new(backlog)
	}
	cfg := &s.nsp.server.cfg
	fits, count, bytes := s.backlog.add(messages, &cfg.Engine), len(s.backlog.messages), s.backlog.bytes
	s.mu.Unlock()
	if !fits {
		cfg.Observer.QueueOverflowed(count, bytes)
		s.conn.session.CloseWith(engineio.Cause{Reason: engineio.ReasonSlow, Err: errBacklog})
		return true, engineio.ErrSlow
	}
	return true, nil
}

// unhold forgets what was held.
func (s *Socket) unhold() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.backlog = nil
}

// Disconnect takes the socket out of its namespace and tells the client by a
// DISCONNECT packet, after which the stock client does not come back. The
// connection and its other namespaces stay. S-9
func (s *Socket) Disconnect() { s.disconnect(ReasonServerDisconnect) }

func (s *Socket) disconnect(reason engineio.Reason) {
	if reason == "" {
		reason = ReasonServerDisconnect
	}
	s.leave(engineio.Cause{Reason: reason}, true)
}

// DisconnectAll sends a DISCONNECT packet to each namespace of the connection
// and closes it: the stock client does not come back. S-9
func (s *Socket) DisconnectAll() {
	for _, other := range s.conn.joined() {
		other.Disconnect()
	}
	s.Close(engineio.ReasonForcedServerClose)
}

// Close closes the whole connection, so that a stock client connects anew. An
// empty reason means [engineio.ReasonForcedServerClose].
func (s *Socket) Close(reason engineio.Reason) {
	if reason == "" {
		reason = engineio.ReasonForcedServerClose
	}
	s.conn.session.Close(reason)
}

// beginAnswer ends the time of the middlewares, unless one of them has let go
// of the socket.
func (s *Socket) beginAnswer() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if phase(s.phase.Load()) != phaseConnecting {
		return false
	}
	s.phase.Store(int32(phaseAnswering))
	return true
}

// endAnswer sends what waited for the CONNECT answer, until nothing does. It
// reports false if the socket left meanwhile, of which the client was not told.
func (s *Socket) endAnswer() bool {
	for {
		s.mu.Lock()
		backlog, left := s.backlog, phase(s.phase.Load()) == phaseLeft
		s.backlog = nil
		if !left && backlog == nil {
			s.phase.Store(int32(phaseJoined))
		}
		s.mu.Unlock()
		if left {
			return false
		}
		if backlog == nil {
			return true
		}
		_ = s.conn.session.Send(backlog.messages...) // if it fails, the end is near and Closed tells
	}
}

// enter claims the socket for a handler. It fails once the socket has left.
func (s *Socket) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if phase(s.phase.Load()) == phaseLeft {
		return false
	}
	s.busy = true
	return true
}

// exit ends a handler. If the socket left meanwhile, its end is told now.
func (s *Socket) exit() {
	s.mu.Lock()
	s.busy = false
	s.mu.Unlock()
	s.finish()
}

// leave takes the socket out of everything. Whoever comes first does it; with
// notify the client is told.
func (s *Socket) leave(cause engineio.Cause, notify bool) {
	s.mu.Lock()
	was := phase(s.phase.Load())
	if was == phaseLeft {
		s.mu.Unlock()
		return
	}
	s.phase.Store(int32(phaseLeft))
	s.reason = cause.Reason
	s.final = notify || cause.Reason == ReasonClientDisconnect
	rec := s.rec.Load()
	acks := s.acks
	s.acks = nil
	s.mu.Unlock()

	s.conn.remove(s, notify)
	if notify && was == phaseJoined { // while answering, the reader does it behind the answer
		s.conn.sendPacket(Packet{Type: PacketDisconnect, Namespace: s.nsp.name}) // S-9
	}
	s.nsp.drop(s)
	s.life.End(cause)
	if rec != nil && rec.pid != "" {
		s.nsp.left(s, rec.pid)
	}
	for _, to := range acks { // S-24
		to <- Answer{Socket: s, Err: ErrNotConnected}
	}
	s.mu.Lock()
	s.cleared = true
	s.mu.Unlock()
	s.finish()
}

// finish is the last that happens to a socket. It waits for two: leave, which
// must have taken the socket out of everything, and the handler that may still
// run. Whoever of them comes last does it.
func (s *Socket) finish() {
	s.mu.Lock()
	last := s.cleared && !s.busy && !s.finished
	s.finished = s.finished || last
	opened, reason := s.opened, s.reason
	s.mu.Unlock()
	if !last {
		return
	}
	if opened {
		s.nsp.disconnected(s, reason)
		s.nsp.server.cfg.Observer.SocketLeft(s.nsp.label(), reason)
	}
	s.nsp.members.forget(s)
	s.nsp.server.release(s.nsp)
}

// open runs OnConnect, unless the socket has left already.
func (s *Socket) open() {
	s.mu.Lock()
	s.opened = phase(s.phase.Load()) == phaseJoined
	opened := s.opened
	s.mu.Unlock()
	if !opened {
		return
	}
	s.nsp.server.cfg.Observer.SocketJoined(s.nsp.label())
	if err := s.nsp.connected(s.handling(), s); err != nil {
		// A socket that is half set up would be silent for ever. The
		// connection goes, so that the client tries again.
		s.conn.session.CloseWith(engineio.Cause{Reason: engineio.ReasonForcedServerClose, Err: err})
	}
}
