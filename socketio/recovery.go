package socketio

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"runtime/debug"

	"larder/engineio"
)

// ReasonReplaced is why a socket ends whose client has come back on another
// connection. Its own connection is closed.
const ReasonReplaced engineio.Reason = "replaced"

// A Recovery decides how clients come back to a namespace after their
// connection broke. What it knows of them, and of the events they missed, is its
// own: [MemoryRecovery] keeps that in memory, an application with a log of its
// own reads there. [Event.WithOffset] tells clients where they are.
//
// A client comes back by a CONNECT with the pid of its last answer, and the
// offset of the last event that it has seen. In this order:
//
//   - The middlewares decide whether it may join, with the rights of today.
//   - Find says which socket it was. If that is still there, it is closed with
//     [ReasonReplaced], and so is who came to be the same before, however far its
//     CONNECT is. So the newest is the one.
//   - Replay takes it in, and returns what it missed.
//   - The client gets its answer, what it missed, what was emitted since it was
//     taken in, and then OnConnect runs.
//
// If Find or Replay fails, the socket begins anew with Issue, under another id,
// without what Replay did to its rooms and data. The client is told by its new
// pid; the application finds out by [Socket.RecoveryResult]. Only a [*Refusal]
// refuses the socket as a middleware does (S-6): what gave it the right to join
// may have gone while Replay looked for what it missed.
//
// The methods are called from many goroutines, those about one socket one after
// the other, with no lock held. All but Left are called on the connection's
// reader, and ctx ends with the socket. A panic is a failure.
type Recovery interface {
	// Issue makes a pid for a socket that begins anew, after the middlewares.
	// The pid is a secret: who has it can come back as this socket. If Issue
	// fails, the socket joins without a pid and can't be recovered.
	Issue(ctx context.Context, s *Socket) (pid string, err error)

	// Find returns the id of the socket that had pid, or an [Unrecovered]. The
	// client made up both arguments, or got offset from somewhere else; it may
	// be empty. The middlewares have passed, so s knows its user: a pid of
	// another user must be refused, and one whose socket was Left for good.
	Find(ctx context.Context, s *Socket, pid, offset string) (id string, err error)

	// Replay restores rooms and data of s, which has the id found by now, and
	// returns what it missed after offset: oldest first, complete, and as its
	// rights are today. A part is never enough: then Replay fails with an
	// [Unrecovered].
	//
	// It calls enter once, where the missed events end: from then on s is a
	// member, in the rooms that it joined before that or joins after, and what
	// is sent to it waits behind the replay. To leave no hole and no overlap,
	// enter has to be called where no event can be logged and sent at the
	// same time. It takes locks of this package, but does not wait. If it
	// reports false, s has gone, and Replay returns any error.
	Replay(ctx context.Context, s *Socket, pid, offset string, enter func() bool) ([]*Event, error)

	// Left tells that a socket is gone, as soon as nothing is sent to it any
	// more: before OnDisconnect, maybe while a handler runs. With final,
	// either side has left the namespace on purpose, and the socket must not be
	// found again (S-55). A socket that came back under the same pid may be
	// there already.
	Left(s *Socket, pid string, reason engineio.Reason, final bool)
}

// Unrecovered is why a client could not come back as the socket it was: the
// error of [Recovery.Find] and [Recovery.Replay]. There should be few, for
// observers count them.
type Unrecovered string

// The usual reasons.
const (
	UnrecoveredUnknown Unrecovered = "unknown" // no such pid
	UnrecoveredEnded   Unrecovered = "ended"   // left on purpose
	UnrecoveredWindow  Unrecovered = "window"  // away for too long
	UnrecoveredLimit   Unrecovered = "limit"   // missed too much
	UnrecoveredOffset  Unrecovered = "offset"  // not an offset that the socket could have
	UnrecoveredEpoch   Unrecovered = "epoch"   // an offset of another log
	UnrecoveredRights  Unrecovered = "rights"  // not this user's
	UnrecoveredGone    Unrecovered = "gone"    // its connection ended meanwhile, maybe for a newer one
	UnrecoveredFailed  Unrecovered = "failed"  // an error that is no Unrecovered, which is in the log
)

// Error implements error.
func (u Unrecovered) Error() string { return "socketio: not recovered: " + string(u) }

// What RecoveryResult says, beside the reasons above.
const (
	resultPending   = "pending"
	resultRecovered = "recovered"
)

// recoveryState is what a socket has of its own where there is recovery.
type recoveryState struct {
	id      string         // the one it came back under; empty: its first
	pid     string         // empty: none yet
	result  string         // guarded by the socket's mu
	session *memorySession // guarded by MemoryRecovery.mu
}

// Recover turns recovery on (S-50). Events that ask no ack then have one
// argument more, their last: the offset, or null if the client might take its
// place for one (S-51).
func (n *handling) Recover(r Recovery) {
	n.mustConfigure()
	n.recovery = r
	n.memory, _ = r.(*MemoryRecovery)
}

// Recovered reports whether the client has come back as the socket it was: with
// the same id, in the same rooms, and without having missed anything. S-53
func (s *Socket) Recovered() bool { return s.RecoveryResult() == resultRecovered }

// RecoveryResult tells how a client fared that came back: "pending" in the
// middlewares, then "recovered", or the text of an [Unrecovered]. It is empty
// for a client that is new, or where there is no recovery. S-54
func (s *Socket) RecoveryResult() string {
	rec := s.rec.Load()
	if rec == nil {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return rec.result
}

// asked returns what a client wants to come back with, and notes that it does. S-52
func (s *Socket) asked() (pid, offset string) {
	if s.nsp.recovery == nil {
		return "", ""
	}
	var auth struct{ Pid, Offset json.RawMessage }
	if json.Unmarshal(s.handshake.Auth, &auth) != nil || json.Unmarshal(auth.Pid, &pid) != nil || pid == "" {
		return "", ""
	}
	if json.Unmarshal(auth.Offset, &offset) != nil {
		offset = ""
	}
	s.setRecovery(&recoveryState{result: resultPending})
	return pid, offset
}

// setRecovery fails once the socket has left.
func (s *Socket) setRecovery(rec *recoveryState) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if phase(s.phase.Load()) == phaseLeft {
		return false
	}
	s.rec.Store(rec)
	return true
}

// comeIn makes s a member, as the socket that it was or anew, and returns what
// it is to be sent first, or why it is refused.
func (n *Namespace) comeIn(s *Socket, pid, offset string) ([]*Event, *Refusal) {
	if n.recovery == nil {
		n.members.add(s)
		return nil, nil
	}
	if pid == "" {
		n.begin(s, "")
		return nil, nil
	}
	rooms, data := n.members.noted(s), s.Data()
	missed, err := n.comeBack(s, pid, offset)
	if err == nil {
		n.told(s, resultRecovered, len(missed))
		return missed, nil
	}
	n.members.withdraw(s, rooms)
	s.unhold()
	s.SetData(data)
	if refusal, ok := errors.AsType[*Refusal](err); ok {
		n.told(s, string(UnrecoveredRights), 0)
		return nil, refusal
	}
	reason, ok := errors.AsType[Unrecovered](err)
	if !ok {
		reason = UnrecoveredFailed
		n.log.Error("socketio: recovery failed", "socket_id", s.id, "err", err)
	}
	n.told(s, string(reason), 0)
	n.begin(s, string(reason))
	return nil, nil
}

func (n *Namespace) told(s *Socket, result string, replayed int) {
	n.log.Info("socketio: client came back", "sid", s.conn.session, "result", result, "events", replayed)
	n.server.cfg.Observer.Recovered(n.label(), result, replayed)
}

// comeBack makes s the socket that it was. If it fails, s may be a member.
func (n *Namespace) comeBack(s *Socket, pid, offset string) (missed []*Event, err error) {
	defer n.recovered("recovery panicked", s, &err)
	id, err := n.recovery.Find(s.handling(), s, pid, offset)
	if err == nil && id == "" {
		err = UnrecoveredUnknown
	}
	if err != nil {
		return nil, err
	}
	rec := &recoveryState{id: id, pid: pid, result: resultPending}
	if !s.setRecovery(rec) {
		return nil, UnrecoveredGone
	}
	member, earlier := n.members.claim(s)
	defer n.members.release(s)
	n.replace(member)
	n.replace(earlier)
	entered := false
	missed, err = n.recovery.Replay(s.handling(), s, pid, offset, func() bool {
		entered = n.members.add(s)
		return entered
	})
	switch {
	case phase(s.phase.Load()) == phaseLeft:
		return nil, UnrecoveredGone
	case err == nil && !entered:
		err = errors.New("replay without enter")
	}
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	rec.result = resultRecovered
	s.mu.Unlock()
	return missed, nil
}

// replace ends a socket, if there is one, for the one that comes back in its place.
// Its connection goes first, so that no DISCONNECT can tell the client to stay away.
// From then on it can't be taken in, however far its own CONNECT is.
func (n *Namespace) replace(old *Socket) {
	if old == nil {
		return
	}
	old.conn.session.Close(ReasonReplaced)
	old.leave(engineio.Cause{Reason: ReasonReplaced}, false)
	n.drop(old) // if somebody else is busy with the same
}

// begin makes s a member that has nothing to come back to.
func (n *Namespace) begin(s *Socket, result string) {
	if !s.setRecovery(&recoveryState{result: result}) {
		return
	}
	pid, err := n.issue(s)
	if err != nil {
		n.log.Error("socketio: recovery failed", "socket_id", s.id, "err", err)
		pid = ""
	}
	if s.setRecovery(&recoveryState{pid: pid, result: result}) {
		if n.memory != nil {
			n.memory.add(s)
		} else {
			n.members.add(s)
		}
	} else if pid != "" {
		n.left(s, pid)
	}
}

func (n *Namespace) issue(s *Socket) (pid string, err error) {
	defer n.recovered("recovery panicked", s, &err)
	return n.recovery.Issue(s.handling(), s)
}

// left tells that a socket with a pid has left.
func (n *Namespace) left(s *Socket, pid string) {
	s.mu.Lock()
	reason, final := s.reason, s.final
	s.mu.Unlock()
	defer func() {
		if v := recover(); v != nil {
			n.log.Error("socketio: panic", "where", "recovery panicked", "socket_id", s.id, "panic", v, "stack", string(debug.Stack()))
		}
	}()
	n.recovery.Left(s, pid, reason, final)
}

// drop takes s out of the namespace.
func (n *Namespace) drop(s *Socket) {
	if n.memory != nil {
		n.memory.remove(s)
	} else {
		n.members.remove(s)
	}
}

// connectData is the payload of the CONNECT answer. S-4, S-50
func (s *Socket) connectData() []byte {
	pid := ""
	if rec := s.rec.Load(); rec != nil {
		pid = rec.pid
	}
	if pid == "" {
		return []byte(`{"sid":"` + s.ID() + `"}`)
	}
	data, err := marshal(struct {
		SID string `json:"sid"`
		PID string `json:"pid"`
	}{s.ID(), pid})
	if err != nil {
		panic("socketio: bug: two strings that do not marshal")
	}
	return data
}

// replay sends what a client missed. What does not fit into a quarter of the
// queue waits until all before it was written: who returns after a long time has
// not been slow. It reports false if the connection is closed.
func (s *Socket) replay(missed []*Event) bool {
	most := s.nsp.server.cfg.Engine.QueueBytes / 4
	mostCount := s.nsp.server.cfg.Engine.QueueMessages / 4
	var batch []*engineio.Message
	bytes, waiting := 0, false
	for i, ev := range missed {
		messages := ev.messages(s.conn.parser, s.nsp)
		batch = append(batch, messages...)
		for _, m := range messages {
			bytes += messageCost(m)
		}
		if last := i == len(missed)-1; !last && bytes < most && len(batch) < mostCount {
			continue
		}
		if waiting && s.conn.session.Flushed(s.handling()) != nil {
			return false
		}
		if s.conn.session.Send(batch...) != nil {
			return false
		}
		batch, bytes, waiting = batch[:0], 0, true
	}
	return true
}

// messageCost is about what a message takes of a queue.
func messageCost(m *engineio.Message) int { return m.Len() + 16 }

// backlog is what was sent to a socket before its CONNECT answer and its replay
// were.
type backlog struct {
	messages []*engineio.Message
	bytes    int
	over     bool
}

// add refuses what takes it over half of the bounds of the queue, where the
// replay may take up the other half.
func (b *backlog) add(messages []*engineio.Message, cfg *engineio.Config) bool {
	bytes := 0
	for _, m := range messages {
		bytes += messageCost(m)
	}
	b.over = b.over || len(b.messages) > 0 &&
		(b.bytes+bytes > cfg.QueueBytes/2 || len(b.messages)+len(messages) > cfg.QueueMessages/2)
	if b.over {
		return false
	}
	b.messages = append(b.messages, messages...)
	b.bytes += bytes
	return true
}

// queueBounds fills in the bounds of the engine, by which the backlog goes.
func queueBounds(cfg *engineio.Config) {
	cfg.QueueBytes = cmp.Or(cfg.QueueBytes, 256<<10)
	cfg.QueueMessages = cmp.Or(cfg.QueueMessages, 4096)
}
