package socketio

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"larder/engineio"
)

// A conn is one Engine.IO session and the sockets it carries. It is the
// session's receiver: all handlers of its sockets run in Receive, one at a time.
type conn struct {
	server  *Server
	session *engineio.Session

	mu      sync.Mutex  // guards what follows
	sockets []*Socket   // at most MaxNamespaces
	joining *Socket     // whose middlewares run
	parted  []string    // namespaces the server disconnected, until the client joins again
	idle    *time.Timer // runs while sockets is empty. S-1
	pending *pending    // S-33: one at most
	closed  bool

	// What the client has used up, and how many CONNECTs in a row were refused.
	// Of the receive turn alone. S-61
	bucket   bucket
	strikes  bucket
	refusals int

	// Set by the first message, before there is a socket. S-45
	parser parser
	spoke  bool
}

func newConn(server *Server, session *engineio.Session) *conn {
	c := &conn{server: server, session: session}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.armLocked()
	return c
}

// armLocked starts the wait for a CONNECT. S-1
func (c *conn) armLocked() {
	var idle *time.Timer
	idle = time.AfterFunc(c.server.cfg.ConnectTimeout, func() {
		c.mu.Lock()
		expired := c.idle == idle
		c.mu.Unlock()
		if expired {
			c.session.CloseWith(engineio.Cause{Reason: engineio.ReasonForcedClose, Err: errNotJoined})
		}
	})
	c.idle = idle
}

// Receive implements [engineio.Receiver]. An error closes the connection, and the
// engine's log says why: the client itself sees only that it is lost. S-7
func (c *conn) Receive(text []byte) error { return c.receive(text) }

// ReceiveBinary implements [engineio.Receiver].
func (c *conn) ReceiveBinary(data []byte) error { return c.receiveBinary(data) }

// Closing implements [engineio.ClosingReceiver]: handlers that still run learn
// by their context that nobody waits for them.
func (c *conn) Closing(cause engineio.Cause) {
	c.mu.Lock()
	sockets := slices.Clone(c.sockets)
	if c.joining != nil {
		sockets = append(sockets, c.joining)
	}
	c.mu.Unlock()
	for _, s := range sockets {
		s.life.End(cause)
	}
}

// Closed implements [engineio.Receiver].
func (c *conn) Closed(cause engineio.Cause) {
	c.mu.Lock()
	c.closed = true
	sockets := slices.Clone(c.sockets)
	c.stopLocked()
	c.mu.Unlock()
	for _, s := range sockets {
		s.leave(cause, false)
	}
}

// stopLocked stops both timers and drops what was half received.
func (c *conn) stopLocked() {
	if c.idle != nil {
		c.idle.Stop()
		c.idle = nil
	}
	if c.pending != nil {
		c.pending.timer.Stop()
		c.pending = nil
	}
}

func (c *conn) receive(text []byte) error {
	if c.awaiting() {
		return violation("text message while attachments are awaited") // S-32
	}
	if !c.speaks(parserText) {
		return violation("text message to the msgpack parser")
	}
	p, err := ParsePacket(text)
	if err != nil {
		return err
	}
	return c.handle(p)
}

// handle takes a packet without attachments, or the head of one with some.
func (c *conn) handle(p Packet) error {
	c.trace("packet in", p)
	switch p.Type {
	case PacketConnect:
		return c.connect(p)
	case PacketDisconnect:
		s, err := c.target(p)
		if s != nil {
			s.leave(engineio.Cause{Reason: ReasonClientDisconnect}, false) // S-8
		}
		return err
	case PacketEvent, PacketAck:
		s, err := c.target(p)
		if s != nil {
			s.receive(p, nil)
		}
		return err
	case PacketBinaryEvent, PacketBinaryAck:
		return c.await(p)
	case PacketConnectError:
		return violation("CONNECT_ERROR from a client") // S-7
	}
	panic("socketio: bug: packet of unknown type")
}

// target returns the socket that a packet is for. A namespace that was never
// joined is an error (S-7). One that the server has disconnected is not: the
// packet and our DISCONNECT may have crossed. The socket is then nil.
func (c *conn) target(p Packet) (*Socket, error) {
	c.mu.Lock()
	s, parted := c.findLocked(p.Namespace), slices.Contains(c.parted, p.Namespace)
	c.mu.Unlock()
	switch {
	case s != nil:
		return s, nil
	case parted:
		_ = c.spend("", 1) // one may cross, but not any number
		return nil, nil
	}
	return nil, violation(p.Type.String() + " for a namespace not joined")
}

func (c *conn) findLocked(namespace string) *Socket {
	for _, s := range c.sockets {
		if s.nsp.name == namespace {
			return s
		}
	}
	return nil
}

// connect takes a CONNECT to its end: the reader goes on when the client has
// its answer and OnConnect has run. S-12
func (c *conn) connect(p Packet) error {
	c.mu.Lock()
	twice, count := c.findLocked(p.Namespace) != nil, len(c.sockets)
	c.mu.Unlock()
	if twice {
		return violation("CONNECT to a namespace already joined") // S-7
	}
	if err, over := errors.AsType[*RateError](c.spend("", connectWeight)); over {
		c.server.cfg.Observer.ConnectRefused("")
		c.refuse(p.Namespace, err.refusal())
		return nil
	}
	n := c.server.acquire(p.Namespace) // released by finish
	if n == nil {
		c.server.cfg.Observer.ConnectRefused("")
		c.refuse(p.Namespace, &Refusal{Message: messageNoNamespace}) // S-5
		return nil
	}
	if count >= c.server.cfg.MaxNamespaces {
		c.server.release(n)
		c.server.cfg.Observer.ConnectRefused(n.label())
		c.refuse(p.Namespace, &Refusal{Message: messageTooMany})
		return nil
	}
	if len(p.Data) > c.server.cfg.MaxAuthBytes {
		c.server.release(n)
		c.server.cfg.Observer.ConnectRefused(n.label())
		c.refuse(p.Namespace, &Refusal{Message: messageLargeAuth})
		return nil
	}
	auth := noAuth
	if len(p.Data) > 0 {
		auth = slices.Clone(p.Data)
	}
	s := newSocket(n, c, rand.Text(), auth)
	defer s.exit()
	c.setJoining(s)
	defer c.setJoining(nil)
	if cause, ended := c.session.Ended(); ended { // Closing may have come too early to find it
		s.life.End(cause)
	}
	pid, offset := s.asked() // S-52
	if err := n.admit(s.handling(), s); err != nil {
		s.leave(engineio.Cause{Reason: ReasonServerDisconnect, Err: err}, false)
		c.server.cfg.Observer.ConnectRefused(n.label())
		c.refuse(p.Namespace, c.refusal(err))
		return nil
	}
	c.join(s, pid, offset)
	return nil
}

func (c *conn) setJoining(s *Socket) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.joining = s
}

// join answers a CONNECT with success. The socket is a member before its client
// can know: what anybody emits after the client has its answer, it gets. A
// socket that the application or the end of the connection took back meanwhile
// is nowhere left behind.
func (c *conn) join(s *Socket, pid, offset string) {
	if !s.beginAnswer() {
		c.refuse(s.nsp.name, &Refusal{Message: messageInternal})
		return
	}
	var missed []*Event
	if c.add(s) {
		var refusal *Refusal
		if missed, refusal = s.nsp.comeIn(s, pid, offset); refusal != nil {
			s.leave(engineio.Cause{Reason: ReasonServerDisconnect, Err: refusal}, false)
			c.server.cfg.Observer.ConnectRefused(s.nsp.label())
			c.refuse(s.nsp.name, refusal)
			return
		}
	}
	answer := Packet{Type: PacketConnect, Namespace: s.nsp.name, Data: s.connectData()} // S-4
	if !c.sendPacket(answer) || !s.replay(missed) {
		cause, known := errors.AsType[engineio.Cause](context.Cause(s.Context()))
		if !known {
			cause.Reason = engineio.ReasonTransportClose
		}
		s.leave(cause, false)
		return
	}
	if !s.endAnswer() {
		c.sendPacket(Packet{Type: PacketDisconnect, Namespace: s.nsp.name}) // S-9
		return
	}
	if m := s.nsp.memory; m != nil {
		m.sendReady(s)
	}
	c.refusals = 0
	c.session.Accept() // E-72
	s.open()
}

// add makes s one of the connection's sockets, unless it is gone. Closed cannot
// have run: it waits for Receive, in which this is.
func (c *conn) add(s *Socket) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if phase(s.phase.Load()) == phaseLeft {
		return false
	}
	c.sockets = append(c.sockets, s)
	c.parted = slices.DeleteFunc(c.parted, func(name string) bool { return name == s.nsp.name })
	if c.idle != nil {
		c.idle.Stop()
		c.idle = nil
	}
	return true
}

// remove undoes add. byServer says that the client does not know yet.
func (c *conn) remove(s *Socket, byServer bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	i := slices.Index(c.sockets, s)
	if i < 0 {
		return
	}
	c.sockets = slices.Delete(c.sockets, i, i+1)
	if byServer {
		// Of names that clients chose there could be any number. What crosses a
		// DISCONNECT is for one of the last.
		if len(c.parted) >= c.server.cfg.MaxNamespaces {
			c.parted = slices.Delete(c.parted, 0, 1)
		}
		c.parted = append(c.parted, s.nsp.name)
	}
	if len(c.sockets) == 0 && !c.closed {
		c.armLocked()
	}
}

func (c *conn) joined() []*Socket {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.sockets)
}

// refusal returns what a client may know of the error of a middleware. S-6
func (c *conn) refusal(err error) *Refusal {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r
	}
	if !errors.Is(err, ErrPanic) { // which is in the log already
		c.server.log.Error("socketio: middleware failed", "sid", c.session, "err", err)
	}
	return &Refusal{Message: messageInternal}
}

// refuse answers a CONNECT with CONNECT_ERROR. The connection stays, unless that
// happens again and again. S-61
func (c *conn) refuse(namespace string, r *Refusal) {
	data, err := refusalData(r)
	if err != nil {
		c.server.log.Error("socketio: refusal does not marshal", "sid", c.session, "err", err)
	}
	c.sendPacket(Packet{Type: PacketConnectError, Namespace: namespace, Data: data})
	if c.refusals++; c.refusals > maxRefusals {
		c.session.CloseWith(engineio.Cause{Reason: engineio.ReasonForcedClose, Err: errRefusals})
	}
}

// sendPacket reports whether the packet was queued. If not, the session is
// closed.
func (c *conn) sendPacket(p Packet) bool {
	c.trace("packet out", p)
	return c.session.Send(encode(c.parser, p, p.Type, nil)...) == nil
}

// trace shows a packet to who debugs the wire: its kind, never its content, in
// which tokens travel.
func (c *conn) trace(what string, p Packet) {
	ctx := c.session.Context()
	if !c.server.log.Enabled(ctx, slog.LevelDebug) {
		return
	}
	name := ""
	if p.Type == PacketEvent || p.Type == PacketBinaryEvent {
		name, _ = eventName(p.Data)
	}
	c.server.log.LogAttrs(ctx, slog.LevelDebug, "socketio: "+what, slog.Any("sid", c.session),
		slog.String("type", p.Type.String()), slog.String("namespace", p.Namespace), slog.String("event", name),
		slog.Int("bytes", len(p.Data)))
}

// receive takes an event or an ack of the client.
func (s *Socket) receive(p Packet, attachments [][]byte) {
	if p.Type.ack() {
		if !s.acked(p.ID, Args{Values: collect(p.Data, 0), Attachments: attachments}) {
			_ = s.conn.spend(s.User(), 1) // nobody asked
		}
		return
	}
	if !s.enter() {
		return // it has left since the packet was on its way
	}
	defer s.exit()
	name, err := eventName(p.Data)
	if err != nil {
		panic("socketio: bug: event without a name")
	}
	args := Args{Values: collect(p.Data, 1), Attachments: attachments}
	var answer *Args
	if err := s.conn.spend(s.User(), 1); err != nil { // S-60
		answer = s.nsp.failed(s, Failure{Event: name, Args: args.kept(), Err: err})
	} else {
		answer = s.nsp.dispatch(s, name, args, ackTo{p.ID, p.HasID})
	}
	if answer != nil && p.HasID {
		_ = s.answer(p.ID, *answer) // or nobody is left to tell
	}
}
