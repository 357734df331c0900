package main

import (
	"bytes"
	"fmt"
	"log"
	"net/netip"
	"time"

	"golang.org/x/sys/unix"

	"larder/test/bench/event"
)

const (
	// dialing is how many clients are on their way in at once.
	dialing = 128
	// perSource is how many connections one loopback address may begin: the
	// system has some 28,000 ports for each.
	perSource = 20_000
	readSize  = 256 << 10
)

// Sockets are clients over WebSocket, all served by one goroutine with one
// epoll and one buffer: they must cost less than the server.
type sockets struct {
	server   unix.SockaddrInet4
	request  []byte
	tokens   []string // each client shows one, in turn; empty: none is asked for
	tally    *tally
	epoll    int
	wake     int // an eventfd: jobs has something
	jobs     chan func()
	clients  map[int32]*client // by descriptor
	visitors []*visitor        // with a token, wherever they are
	begun    int
	buf      []byte
	joining  map[*client]struct{}
	toBegin  []*visitor
	joined   int        // since connect was called
	finished chan<- int // wants joined when all have come in or not
	returns  *returns   // nil: who loses the connection stays away
}

// A client goes through its states in this order.
type state int

const (
	dialed   state = iota // the connection is on its way
	upgraded              // the request is sent
	opened                // it is a WebSocket
	joined                // the CONNECT is answered
)

type client struct {
	fd    int
	who   *visitor
	state state
	since time.Time
	rest  []byte // of a frame
	got   int
}

func newSockets(addr string, tokens []string, t *tally) (*sockets, error) {
	to, err := netip.ParseAddrPort(addr)
	if err != nil {
		return nil, err
	}
	s := &sockets{
		server: unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()},
		request: fmt.Appendf(nil, "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: %s\r\n"+
			"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"+
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", addr),
		tokens:  tokens,
		tally:   t,
		jobs:    make(chan func(), 1),
		clients: make(map[int32]*client),
		joining: make(map[*client]struct{}),
		buf:     make([]byte, readSize),
	}
	if s.epoll, err = unix.EpollCreate1(0); err != nil {
		return nil, fmt.Errorf("epoll: %w", err)
	}
	if s.wake, err = unix.Eventfd(0, unix.EFD_NONBLOCK); err != nil {
		return nil, fmt.Errorf("eventfd: %w", err)
	}
	if err := s.watch(unix.EPOLL_CTL_ADD, s.wake, unix.EPOLLIN); err != nil {
		return nil, err
	}
	go s.run()
	return s, nil
}

// do runs f in the goroutine that owns the clients.
func (s *sockets) do(f func()) {
	s.jobs <- f
	if _, err := unix.Write(s.wake, []byte{1, 0, 0, 0, 0, 0, 0, 0}); err != nil {
		log.Fatalf("wake: %v", err)
	}
}

func (s *sockets) connect(n int) int {
	finished := make(chan int)
	s.do(func() {
		for range n {
			s.toBegin = append(s.toBegin, s.visitor())
		}
		s.joined, s.finished = 0, finished
	})
	return <-finished
}

func (s *sockets) counts() []int {
	result := make(chan []int)
	s.do(func() {
		var all []int
		for _, c := range s.clients {
			all = append(all, c.got)
			c.got = 0
		}
		result <- all
	})
	return <-result
}

func (s *sockets) run() {
	events := make([]unix.EpollEvent, 512)
	for {
		wait := -1
		if len(s.joining) > 0 || s.returns != nil {
			wait = 100 // to look at joinTimeout
		}
		n, err := unix.EpollWait(s.epoll, events, wait)
		if err != nil && err != unix.EINTR {
			log.Fatalf("epoll: %v", err)
		}
		for _, e := range events[:max(n, 0)] {
			if int(e.Fd) == s.wake {
				s.runJob()
			} else if c := s.clients[e.Fd]; c != nil {
				s.ready(c)
			}
		}
		s.admit()
	}
}

func (s *sockets) runJob() {
	var count [8]byte
	if _, err := unix.Read(s.wake, count[:]); err != nil {
		return // EAGAIN: the job was taken before
	}
	(<-s.jobs)()
}

// admit begins connections as long as there are some to begin, gives those up
// that take too long, and tells connect when the last one is settled.
func (s *sockets) admit() {
	if s.finished == nil && s.returns == nil {
		return
	}
	for c := range s.joining {
		if time.Since(c.since) > joinTimeout {
			s.drop(c)
		}
	}
	for len(s.toBegin) > 0 && len(s.joining) < dialing {
		who := s.toBegin[0]
		s.toBegin = s.toBegin[1:]
		if err := s.begin(who); err != nil {
			log.Printf("connect: %v", err)
		}
	}
	if s.finished != nil && len(s.toBegin) == 0 && len(s.joining) == 0 {
		s.finished <- s.joined
		s.finished = nil
	}
	s.settle()
}

func (s *sockets) begin(who *visitor) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	source := unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, byte(1 + s.begun/perSource%8)}}
	c := &client{fd: fd, who: who, since: time.Now()}
	s.begun++
	for _, step := range []func() error{
		func() error { return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) },
		func() error { return unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) },
		func() error { return unix.Bind(fd, &source) },
		func() error {
			if err := unix.Connect(fd, &s.server); err != unix.EINPROGRESS {
				return err
			}
			return nil
		},
		func() error { return s.watch(unix.EPOLL_CTL_ADD, fd, unix.EPOLLOUT) },
	} {
		if err := step(); err != nil {
			_ = unix.Close(fd)
			return err
		}
	}
	s.clients[int32(fd)] = c
	s.joining[c] = struct{}{}
	return nil
}

func (s *sockets) watch(op, fd int, events uint32) error {
	return unix.EpollCtl(s.epoll, op, fd, &unix.EpollEvent{Events: events, Fd: int32(fd)})
}

// ready goes on with a client whose descriptor is readable, or, after it was
// dialed, writable.
func (s *sockets) ready(c *client) {
	if c.state == dialed {
		c.state = upgraded
		s.write(c, s.request)
		if err := s.watch(unix.EPOLL_CTL_MOD, c.fd, unix.EPOLLIN); err != nil {
			log.Fatalf("epoll: %v", err)
		}
		return
	}
	kept := copy(s.buf, c.rest)
	n, err := unix.Read(c.fd, s.buf[kept:])
	if err == unix.EAGAIN || err == unix.EINTR {
		return
	}
	if err != nil || n == 0 {
		s.drop(c)
		return
	}
	rest, ok := s.consume(c, s.buf[:kept+n], event.Now())
	if !ok {
		s.drop(c)
		return
	}
	if len(rest) == 0 {
		c.rest = nil
	} else {
		c.rest = append(c.rest[:0], rest...)
	}
}

// consume takes all that is complete out of b. It returns false if the
// connection has ended.
func (s *sockets) consume(c *client, b []byte, now time.Duration) (rest []byte, ok bool) {
	if c.state == upgraded {
		head, after, found := bytes.Cut(b, []byte("\r\n\r\n"))
		if !found {
			return b, true
		}
		if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
			log.Printf("upgrade: %.60q", head)
			return nil, false
		}
		c.state, b = opened, after
	}
	for {
		op, payload, rest, whole := nextFrame(b)
		if !whole {
			return b, true
		}
		b = rest
		switch op {
		case opText:
			s.packet(c, payload, now)
		case opPing:
			s.write(c, clientFrame(opPong, ""))
		case opClose:
			return nil, false
		}
	}
}

func (s *sockets) packet(c *client, p []byte, now time.Duration) {
	switch {
	case bytes.HasPrefix(p, []byte("42")):
		if !s.hear(c.who, p) {
			break
		}
		if at, ok := event.SentAt(p); ok {
			c.got++
			s.tally.add(now - at)
		}
	case bytes.HasPrefix(p, []byte("0{")):
		s.write(c, clientFrame(opText, c.who.joinPacket()))
	case bytes.HasPrefix(p, []byte("40{")):
		c.state = joined
		s.joined++
		delete(s.joining, c)
		s.welcome(c.who, p)
	case string(p) == "2":
		s.write(c, clientFrame(opText, "3"))
	default:
		log.Printf("unexpected packet: %.60q", p)
	}
}

// write writes a few bytes, for which there is always room. An error shows
// when the descriptor is read.
func (s *sockets) write(c *client, b []byte) {
	_, _ = unix.Write(c.fd, b)
}

func (s *sockets) drop(c *client) {
	delete(s.clients, int32(c.fd))
	delete(s.joining, c)
	_ = unix.Close(c.fd)
	s.left(c.who)
}
