package socketio

import (
	"context"
	"encoding/json"
	"log/slog"
	"runtime/debug"
	"sync/atomic"

	"larder/engineio"
)

// A Namespace is a group of sockets with its own handlers and rooms. Its
// handlers are set before the server serves; all else is safe for concurrent use.
type Namespace struct {
	handling
	name   string
	log    *slog.Logger
	parent *Parent // nil: fixed
	users  int     // of a child: sockets and CONNECTs in flight; guarded by server.mu

	members registry
	lastAck atomic.Uint64 // ids are unique in the namespace, so one packet can ask many. S-24, S-25
}

// handling is what a namespace does with its sockets. It is fixed when the
// server serves, and what it points to is shared by all children of a [Parent].
type handling struct {
	server *Server
	whose  string // for panics

	middleware   []func(context.Context, *Socket) error
	onConnect    []func(context.Context, *Socket)
	onDisconnect []func(*Socket, engineio.Reason)
	onError      func(context.Context, *Socket, Failure) json.RawMessage
	handlers     map[string]handler
	recovery     Recovery        // nil: none
	memory       *MemoryRecovery // recovery, if it is one, for it is told of all that goes on
}

func newHandling(s *Server, whose string) handling {
	return handling{server: s, whose: whose, handlers: make(map[string]handler)}
}

// Name returns the name, with its slash.
func (n *Namespace) Name() string { return n.name }

// label is the name for observers. Those of children are chosen by clients, who
// could make up many.
func (n *Namespace) label() string {
	if n.parent != nil {
		return "*"
	}
	return n.name
}

// Len returns the number of connected sockets.
func (n *Namespace) Len() int { return n.members.len() }

// Use adds a middleware. They run in the order they were added, on the
// connection's reader, before the CONNECT answer. The first error refuses the
// socket: a [*Refusal] is told to the client (S-6), of any other error the
// client learns nothing and the log all. Rooms that a middleware joins count
// from the CONNECT answer on; nothing can be sent to the socket before it.
func (n *handling) Use(mw func(ctx context.Context, s *Socket) error) {
	n.mustConfigure()
	n.middleware = append(n.middleware, mw)
}

// OnConnect adds a function that runs when a socket has joined: after its
// CONNECT answer is queued and before any packet of that client is dispatched
// (S-12). If it panics, the connection is closed. A client may act on its answer
// before OnConnect runs: rooms that must miss nothing are joined in a middleware.
func (n *handling) OnConnect(h func(ctx context.Context, s *Socket)) {
	n.mustConfigure()
	n.onConnect = append(n.onConnect, h)
}

// OnDisconnect adds a function that runs when a socket has left: once, only if
// OnConnect ran, and after its last handler returned. [Socket.Rooms] still
// tells the rooms it was in (S-40), but it is no longer reached through them.
func (n *handling) OnDisconnect(h func(s *Socket, reason engineio.Reason)) {
	n.mustConfigure()
	n.onDisconnect = append(n.onDisconnect, h)
}

// OnError sets the function that is told when a handler failed, panicked, or
// got an argument that does not decode. The JSON it returns is the one argument
// of the ack, if the client asked for one; nil leaves it unanswered. Without
// OnError, failures are logged and no ack is answered.
func (n *handling) OnError(h func(ctx context.Context, s *Socket, f Failure) json.RawMessage) {
	n.mustConfigure()
	n.onError = h
}

func (n *handling) mustConfigure() {
	if n.server.serving.Load() {
		panic("socketio: namespace " + n.whose + " configured after the server began to serve")
	}
}

// Emit sends an event to every socket, or to the union of the rooms, each
// socket once (S-41). It waits for nobody: a connection that cannot take the
// event is closed by the engine. Two events emitted one after the other reach
// each socket in that order (S-43).
func (n *Namespace) Emit(ev *Event, rooms ...string) { n.EmitExcept(ev, nil, rooms...) }

// EmitExcept is Emit without the sockets that are in one of the rooms except.
// A socket's id is a room, so this is also how a broadcast leaves out its author.
func (n *Namespace) EmitExcept(ev *Event, except []string, rooms ...string) {
	if n.memory != nil && !ev.volatile {
		n.trace(ev, n.memory.emit(nil, n, ev, except, rooms))
		return
	}
	sockets := n.members.members(rooms, except)
	if len(sockets) == 0 {
		return
	}
	n.trace(ev, len(sockets))
	var messages [parsers][]*engineio.Message // made when first needed
	for _, s := range sockets {
		by := s.conn.parser
		if messages[by] == nil {
			messages[by] = ev.messages(by, n)
		}
		_ = s.send(messages[by], ev.volatile) // gone, or too slow and closed for it, or passed over
	}
}

// trace shows an event to who debugs the wire.
func (n *Namespace) trace(ev *Event, sockets int) {
	n.log.Debug("socketio: event out", "event", ev.Name(), "sockets", sockets)
}

// Sockets returns the connected sockets, or those in the union of the rooms.
func (n *Namespace) Sockets(rooms ...string) []*Socket { return n.SocketsExcept(nil, rooms...) }

// SocketsExcept is Sockets without those that are in one of the rooms except.
func (n *Namespace) SocketsExcept(except []string, rooms ...string) []*Socket {
	return append([]*Socket(nil), n.members.members(rooms, except)...)
}

// SocketsJoin adds every socket, or those in the union of the rooms, to the
// rooms of join. It is one step: whoever emits meanwhile reaches all or none. Who
// is in Config.MaxRooms rooms already does not join more.
func (n *Namespace) SocketsJoin(join []string, rooms ...string) {
	n.SocketsJoinExcept(join, nil, rooms...)
}

// SocketsJoinExcept is SocketsJoin without the sockets that are in one of the
// rooms except.
func (n *Namespace) SocketsJoinExcept(join, except []string, rooms ...string) {
	n.move(rooms, except, func() { n.members.joinAll(rooms, except, join) })
}

// SocketsLeave removes every socket, or those in the union of the rooms, from
// the rooms of leave, in one step as well.
func (n *Namespace) SocketsLeave(leave []string, rooms ...string) {
	n.SocketsLeaveExcept(leave, nil, rooms...)
}

// SocketsLeaveExcept is SocketsLeave without the sockets that are in one of the
// rooms except.
func (n *Namespace) SocketsLeaveExcept(leave, except []string, rooms ...string) {
	n.move(rooms, except, func() { n.members.leaveAll(rooms, except, leave) })
}

// move changes the rooms of some sockets.
func (n *Namespace) move(rooms, except []string, change func()) {
	if n.memory == nil {
		change()
		return
	}
	n.memory.move(func() []*Socket { return n.members.members(rooms, except) }, change)
}

// Disconnect lets go of every socket, or of the union of the rooms.
//
// With closeTransport their connections are closed, and with them their other
// namespaces; stock clients come back by themselves. Without it each gets a
// DISCONNECT packet (S-9), after which stock clients stay away. The reason is
// what OnDisconnect hears; empty means [engineio.ReasonForcedServerClose] or
// [ReasonServerDisconnect].
func (n *Namespace) Disconnect(reason engineio.Reason, closeTransport bool, rooms ...string) {
	n.DisconnectExcept(reason, closeTransport, nil, rooms...)
}

// DisconnectExcept is Disconnect without the sockets that are in one of the
// rooms except.
func (n *Namespace) DisconnectExcept(reason engineio.Reason, closeTransport bool, except []string, rooms ...string) {
	for _, s := range n.members.members(rooms, except) {
		if closeTransport {
			s.Close(reason)
		} else {
			s.disconnect(reason)
		}
	}
}

// admit runs the middlewares.
func (n *Namespace) admit(ctx context.Context, s *Socket) (err error) {
	defer n.recovered("middleware panicked", s, &err)
	for _, mw := range n.middleware {
		if err := mw(ctx, s); err != nil {
			return err
		}
	}
	return nil
}

// connected runs the OnConnect functions.
func (n *Namespace) connected(ctx context.Context, s *Socket) (err error) {
	defer n.recovered("connect handler panicked", s, &err)
	for _, h := range n.onConnect {
		h(ctx, s)
	}
	return nil
}

// disconnected runs the OnDisconnect functions, each even if another panics.
func (n *Namespace) disconnected(s *Socket, reason engineio.Reason) {
	for _, h := range n.onDisconnect {
		func() {
			var err error
			defer n.recovered("disconnect handler panicked", s, &err)
			h(s, reason)
		}()
	}
}

// recovered is deferred: it turns a panic into ErrPanic and logs where it came from.
func (n *Namespace) recovered(what string, s *Socket, err *error) {
	if v := recover(); v != nil {
		n.log.Error("socketio: panic", "where", what, "socket_id", s.ID(), "panic", v, "stack", string(debug.Stack()))
		*err = ErrPanic
	}
}
