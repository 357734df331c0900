package socketio

import "runtime/debug"

// A Parent is a family of namespaces whose names a function recognises. Its
// middlewares and handlers are those of every child. A child is made by the
// first CONNECT to its name and gone with its last socket, for clients choose
// the names: all that is kept of a child is what its sockets keep. S-11
type Parent struct {
	handling
	match    func(name string) bool
	children map[string]*Namespace // guarded by server.mu
}

// OfFunc adds a family of namespaces: those whose name match accepts. It must
// be called before the server serves. Names made with [Server.Of] come first,
// then families in the order they were added.
//
// match is called on the readers of connections, several at a time, with names
// that clients chose. It only knows names: who may join is for middlewares to
// say, which find the name in [Socket.Namespace].
func (s *Server) OfFunc(match func(name string) bool) *Parent {
	p := &Parent{
		handling: newHandling(s, "of a function"),
		match:    match,
		children: make(map[string]*Namespace),
	}
	p.mustConfigure()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.parents = append(s.parents, p)
	return p
}

// Emit sends an event to every child under the rules of [Namespace.Emit].
// Rooms of one name are different rooms in each child.
func (p *Parent) Emit(ev *Event, rooms ...string) {
	if p.memory != nil && !ev.volatile { // who is away may be so from a child that is gone
		p.memory.emit(p, nil, ev, nil, rooms)
		return
	}
	for _, child := range p.Namespaces() {
		child.Emit(ev, rooms...)
	}
}

// Namespaces returns the children there are now, in no order.
func (p *Parent) Namespaces() []*Namespace {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	list := make([]*Namespace, 0, len(p.children))
	for _, child := range p.children {
		list = append(list, child)
	}
	return list
}

// Namespace returns the child of that name, if there is one now. Ask again each
// time: once its last socket has left, a child is nobody's, and the next client
// gets another of the same name.
func (p *Parent) Namespace(name string) (*Namespace, bool) {
	p.server.mu.Lock()
	defer p.server.mu.Unlock()
	child, ok := p.children[name]
	return child, ok
}

// accepts asks match, whose panic is a no.
func (p *Parent) accepts(name string) (ok bool) {
	defer func() {
		if v := recover(); v != nil {
			p.server.log.Error("socketio: panic", "where", "function of a namespace panicked", "panic", v, "stack", string(debug.Stack()))
			ok = false
		}
	}()
	return p.match(name)
}

// acquire returns the namespace that a CONNECT names, or nil. A child is there
// until it was released as often.
func (s *Server) acquire(name string) *Namespace {
	s.mu.Lock()
	n, parents := s.acquireLocked(name), s.parents
	s.mu.Unlock()
	if n != nil {
		return n
	}
	for _, p := range parents { // fixed by now
		if p.accepts(name) {
			return s.acquireChild(p, name)
		}
	}
	return nil
}

func (s *Server) acquireLocked(name string) *Namespace {
	if n := s.namespaces[name]; n != nil {
		return n
	}
	for _, p := range s.parents {
		if child := p.children[name]; child != nil {
			child.users++
			return child
		}
	}
	return nil
}

// acquireChild makes a child, unless another CONNECT was faster.
func (s *Server) acquireChild(p *Parent, name string) *Namespace {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := s.acquireLocked(name); n != nil {
		return n
	}
	child := &Namespace{handling: p.handling, name: name, parent: p, users: 1, log: s.log.With("namespace", name)}
	p.children[name] = child
	return child
}

// release gives back what acquire gave.
func (s *Server) release(n *Namespace) {
	if n.parent == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n.users--; n.users == 0 {
		delete(n.parent.children, n.name)
	}
}
