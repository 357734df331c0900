package socketio

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"larder/engineio"
)

// Config is what a [Server] is made from. Zero fields take the defaults named here.
type Config struct {
	// Engine configures the connections. Its Logger defaults to the one below,
	// its MaxUnaccepted to 4,000: a connection is accepted when it has joined its
	// first namespace, for which it has ConnectTimeout.
	Engine engineio.Config

	// ConnectTimeout closes a connection that has joined no namespace for so
	// long, be it that it never did or that it left them all: 10 s. S-1
	ConnectTimeout time.Duration

	// AckTimeout is how long a client may take for an ack that the server
	// asked for, if the context of the wait has no deadline: 10 s. S-24
	AckTimeout time.Duration

	// BinaryTimeout is how long the attachments of one packet may take: 10 s. S-33
	BinaryTimeout time.Duration

	MaxNamespaces  int // joined at once by one connection: 8
	MaxAttachments int // of one packet from a client: 10. S-32
	MaxBinaryBytes int // all attachments of one packet together: Engine.MaxPayload or 1,000,000. S-33
	MaxAcks        int // outstanding per socket: 64. S-24
	MaxAuthBytes   int // payload of a CONNECT, which is kept with the socket: 16 KiB
	MaxRooms       int // joined at once by one socket, its own not counted: 256

	Rates Rates // of what clients send. S-60

	// NoMsgpack leaves only the default parser. Without it a client chooses by
	// its first message: binary is msgpack, text the default parser. S-45
	NoMsgpack bool

	// Observer is told of everything, and replaces Engine.Observer. Nil: nobody is.
	Observer Observer

	Logger *slog.Logger // nil: nothing is logged
}

// withDefaults fills the zero fields and reports every wrong one.
func (c Config) withDefaults() (Config, error) {
	var errs []error
	fill := func(name string, v *int, def int) {
		if *v < 0 {
			errs = append(errs, fmt.Errorf("socketio: %s is negative", name))
		} else if *v == 0 {
			*v = def
		}
	}
	wait := func(name string, v *time.Duration) {
		if *v < 0 {
			errs = append(errs, fmt.Errorf("socketio: %s is negative", name))
		} else if *v == 0 {
			*v = 10 * time.Second
		}
	}
	queueBounds(&c.Engine)
	wait("ConnectTimeout", &c.ConnectTimeout)
	wait("AckTimeout", &c.AckTimeout)
	wait("BinaryTimeout", &c.BinaryTimeout)
	fill("MaxNamespaces", &c.MaxNamespaces, 8)
	fill("MaxAttachments", &c.MaxAttachments, 10)
	fill("MaxAcks", &c.MaxAcks, 64)
	fill("MaxAuthBytes", &c.MaxAuthBytes, 16<<10)
	fill("MaxRooms", &c.MaxRooms, 256)
	fill("Engine.MaxUnaccepted", &c.Engine.MaxUnaccepted, 4000) // a city behind one address comes back at once
	errs = append(errs, c.Rates.fill())
	fill("MaxBinaryBytes", &c.MaxBinaryBytes, max(c.Engine.MaxPayload, 0))
	if c.MaxBinaryBytes == 0 {
		c.MaxBinaryBytes = 1_000_000
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.Observer == nil {
		c.Observer = Unobserved{}
	} else {
		c.Engine.Observer = c.Observer
	}
	if c.Engine.Logger == nil {
		c.Engine.Logger = c.Logger
	}
	return c, errors.Join(errs...)
}

// A Server is a Socket.IO server. It is an http.Handler for the path of its
// Engine.IO configuration.
type Server struct {
	cfg    Config
	engine *engineio.Server
	log    *slog.Logger
	began  time.Time // what clock counts from

	users, addresses buckets

	serving atomic.Bool // set by the first request; namespaces are fixed from then on

	mu         sync.Mutex // guards what follows, and the children of parents
	namespaces map[string]*Namespace
	parents    []*Parent
}

// NewServer checks the configuration and returns a server without namespaces.
// It starts no goroutine.
func NewServer(cfg Config) (*Server, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, log: cfg.Logger, began: time.Now(), namespaces: make(map[string]*Namespace)}
	s.engine, err = engineio.NewServer(cfg.Engine, func(session *engineio.Session) engineio.Receiver {
		return newConn(s, session)
	})
	if err != nil {
		return nil, err
	}
	return s, nil
}

// Of returns the namespace of that name ("/", "/donations") and makes it at
// first use, which must be before the server serves. No namespace is there by
// itself, not even "/". Of panics on a name that a packet cannot carry. For names
// that are not known before, see [Server.OfFunc].
func (s *Server) Of(name string) *Namespace {
	err := checkNamespace(name)
	if !utf8.ValidString(name) {
		err = malformed("namespace is not UTF-8")
	}
	if err != nil {
		panic(fmt.Sprintf("socketio: namespace %q: %v", name, err))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.namespaces[name]
	if n == nil {
		if s.serving.Load() {
			panic("socketio: namespace " + name + " made after the server began to serve")
		}
		n = &Namespace{handling: newHandling(s, name), name: name, log: s.log.With("namespace", name)}
		s.namespaces[name] = n
	}
	return n
}

// ServeHTTP implements http.Handler.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.serving.Load() {
		s.serving.Store(true)
	}
	s.engine.ServeHTTP(w, r)
}

// Stats returns the counters of the engine.
func (s *Server) Stats() engineio.Stats { return s.engine.Stats() }

// Len returns the number of connections, joined to a namespace or not.
func (s *Server) Len() int { return s.engine.Len() }

// Drain sends the connections away in even steps, as [engineio.Server.Drain]
// does. Before the first turn tell, if it is not nil, is called for each socket
// with the time until the turn of its connection; it may emit, and must not wait.
// A socket that joins later is not told: a middleware can refuse it.
func (s *Server) Drain(ctx context.Context, over time.Duration, tell func(s *Socket, in time.Duration)) error {
	sockets := s.sockets()
	return s.engine.Drain(ctx, over, func(session *engineio.Session, in time.Duration) {
		if tell == nil {
			return
		}
		for _, socket := range sockets[session] {
			tell(socket, in)
		}
	})
}

// sockets returns those of all namespaces, by connection.
func (s *Server) sockets() map[*engineio.Session][]*Socket {
	s.mu.Lock()
	namespaces := slices.Collect(maps.Values(s.namespaces))
	s.mu.Unlock()
	sockets := make(map[*engineio.Session][]*Socket)
	for _, n := range namespaces {
		for _, socket := range n.members.members(nil, nil) {
			sockets[socket.conn.session] = append(sockets[socket.conn.session], socket)
		}
	}
	return sockets
}

// Shutdown refuses new connections, closes all there are with
// [engineio.ReasonShutdown], and waits until they have ended or ctx has.
func (s *Server) Shutdown(ctx context.Context) error { return s.engine.Shutdown(ctx) }
