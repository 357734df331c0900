package engineio

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Server is an Engine.IO v4 server. It is an http.Handler for its path.
type Server struct {
	cfg    Config
	prefix string // cfg.Path without the last slash
	open   func(*Session) Receiver
	cors   *CORS
	log    *slog.Logger

	oldClient sync.Once

	workers workers
	writers writers

	deadlines deadlines

	began  time.Time    // what clock counts from
	queued atomic.Int64 // bytes that wait for peers who are behind (E-71)

	deflater *deflater // nil: nothing is compressed on WebSockets

	mu       sync.Mutex
	sessions map[string]*Session // all that have not ended, closed ones included
	requests int                 // being served
	closing  bool
	idle     chan struct{} // closed when closing and nothing is left; nil if nobody waits
	stats    Stats

	opening    int            // requests that were let in to open a session
	unaccepted map[string]int // sessions by address, those being opened included (E-72)
}

// Stats are the counters of a server since its start.
type Stats struct {
	Open     int               // sessions open now
	Opened   uint64            // sessions
	Upgraded uint64            // sessions that went from polling to WebSocket
	Closed   map[Reason]uint64 // sessions
	Refused  uint64            // requests, with any code
	TooLarge uint64            // bodies and messages over MaxPayload (E-24, E-39)
	Queued   int64             // bytes that wait now, for peers who are behind (E-71)
}

// NewServer checks the configuration and returns a server. open is called once
// for each session, before anything is received from it; it may send, and
// close. The Receiver that it returns gets everything of that session. It must
// not panic.
//
// No goroutine is started, and nothing needs to be stopped if no request is
// ever served.
func NewServer(cfg Config, open func(*Session) Receiver) (*Server, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	srv := &Server{
		cfg:      cfg,
		prefix:   strings.TrimSuffix(cfg.Path, "/"),
		open:     open,
		cors:     cfg.CORS,
		log:      cfg.Logger,
		began:    time.Now(),
		sessions: make(map[string]*Session),

		unaccepted: make(map[string]int),

		stats: Stats{Closed: make(map[Reason]uint64)},
	}
	srv.deadlines.clock = srv.clock
	if cfg.Compression != nil {
		srv.deflater = newDeflater(*cfg.Compression)
	}
	if srv.cors == nil {
		srv.cors = &CORS{Logger: cfg.Logger}
	}
	return srv, nil
}

// Len returns the number of open sessions.
func (srv *Server) Len() int {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.stats.Open
}

// Stats returns the counters.
func (srv *Server) Stats() Stats {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	s := srv.stats
	s.Queued = srv.queued.Load()
	s.Closed = maps.Clone(s.Closed)
	return s
}

// newSession makes a session that the server does not know of yet.
func (srv *Server) newSession(r *http.Request, t Transport) *Session {
	s := &Session{
		srv:       srv,
		id:        rand.Text(), // E-7: 130 bits, base32
		req:       newRequest(r, time.Now()),
		phase:     phaseOpen,
		transport: t,
		upgrade:   upgradeNone,
		receiving: true, // until the receiver is there
	}
	if t == WebSocket {
		s.upgrade = upgradeDone
	}
	return s
}

// start makes a session known, and the application make its receiver. It
// reports false if the server is closing.
func (srv *Server) start(s *Session) bool {
	first := firstPing(srv.cfg.PingInterval)
	s.mu.Lock()
	s.armLocked(srv.clock(), first)
	s.mu.Unlock()

	if !srv.add(s) {
		srv.deadlines.stop(s)
		return false
	}
	receiver := srv.open(s)
	s.mu.Lock()
	s.receiver = receiver
	s.mu.Unlock()
	s.endReceive()
	srv.log.Debug("session opened", "sid", s, "transport", string(s.Transport()))

	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.queue.idle() {
		s.kickLocked()
	}
	return true
}

// add makes a session known, unless the server is closing.
func (srv *Server) add(s *Session) bool {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.opening--
	if srv.closing {
		srv.releaseLocked(s.address)
		return false
	}
	s.unaccepted = true
	srv.sessions[s.id] = s
	srv.stats.Open++
	srv.stats.Opened++
	srv.cfg.Observer.SessionOpened(s.transport) // which is still the first one
	return true
}

// session finds a session by its id.
func (srv *Server) session(id string) *Session {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	return srv.sessions[id]
}

// closed counts a session that closes.
func (srv *Server) closed(s *Session, reason Reason) {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.acceptedLocked(s) // or never will be
	srv.cfg.Observer.SessionClosed(s.transport, reason)
	srv.stats.Open--
	srv.stats.Closed[reason]++
}

// remove forgets a session that has ended.
func (srv *Server) remove(s *Session) {
	srv.deadlines.stop(s)
	srv.mu.Lock()
	defer srv.mu.Unlock()
	delete(srv.sessions, s.id)
	srv.signalIdleLocked()
}

func (srv *Server) signalIdleLocked() {
	if srv.closing && srv.requests == 0 && len(srv.sessions) == 0 {
		signal(&srv.idle)
	}
}

// enter and leave count the requests being served.
func (srv *Server) enter() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.requests++
}

func (srv *Server) leave() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.requests--
	srv.signalIdleLocked()
}

func (srv *Server) upgraded() {
	srv.cfg.Observer.UpgradeEnded(true)
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.stats.Upgraded++
}

func (srv *Server) countRefusal(why *refusal) {
	srv.cfg.Observer.Refused(Refusal{why.code, why.status, why.cause})
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.stats.Refused++
}

func (srv *Server) tooLarge() {
	srv.mu.Lock()
	defer srv.mu.Unlock()
	srv.stats.TooLarge++
}

// openJSON is the data of the open packet (E-6).
func (srv *Server) openJSON(s *Session) []byte {
	upgrades := []string{}
	if s.Transport() == Polling && slices.Contains(srv.cfg.Transports, WebSocket) {
		upgrades = append(upgrades, string(WebSocket))
	}
	data, err := json.Marshal(OpenPacket{
		SID:          s.id,
		Upgrades:     upgrades,
		PingInterval: srv.cfg.PingInterval.Milliseconds(),
		PingTimeout:  srv.cfg.PingTimeout.Milliseconds(),
		MaxPayload:   srv.cfg.MaxPayload,
	})
	if err != nil {
		panic("engineio: bug: " + err.Error()) // strings and numbers always encode
	}
	return data
}

// Shutdown refuses new sessions (503, Retry-After), closes all open ones with
// [ReasonShutdown] (held polls are answered, WebSockets closed with 1012) and
// waits until nothing of this server is running any more. Peers that do not take
// their last words, or do not come for them, hold it up for a few seconds at
// most. When ctx ends first it cuts what is left and returns the cause of ctx.
//
// With many sessions [Server.Drain] comes first, lest they all come back at once.
//
// It is to be called before, or while, http.Server.Shutdown runs: that one
// neither answers held polls nor closes WebSockets.
func (srv *Server) Shutdown(ctx context.Context) error {
	sessions := srv.refuseNew()
	srv.mu.Lock()
	if srv.idle == nil {
		srv.idle = make(chan struct{})
	}
	idle := srv.idle
	srv.signalIdleLocked()
	srv.mu.Unlock()

	for _, s := range sessions {
		s.sendAway()
		s.hurry()
	}
	defer srv.workers.close()
	select {
	case <-idle:
		srv.workers.close()
		srv.workers.running.Wait() // they have nothing to do
		srv.writers.running.Wait()
		return nil
	case <-ctx.Done():
	}
	srv.mu.Lock()
	sessions = slices.Collect(maps.Values(srv.sessions))
	srv.mu.Unlock()
	for _, s := range sessions {
		s.abort()
	}
	return context.Cause(ctx)
}
