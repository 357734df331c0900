package faults

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	dialTimeout = 5 * time.Second
	pieceBytes  = 4 << 10 // read at once
)

// Proxy forwards connections to a target.
type Proxy struct {
	listener net.Listener
	wait     sync.WaitGroup

	mu     sync.Mutex // guards the fields below
	target string
	random *rand.Rand
	links  []*link // those that are open, oldest first
	struck map[Kind]int
	served int
	closed bool
}

// Listen takes a free port of this machine for connections to target. Whom a fault
// hits is drawn from the seed.
func Listen(ctx context.Context, target string, seed uint64) (*Proxy, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("faults: %w", err)
	}
	return &Proxy{listener: l, target: target, random: rand.New(rand.NewPCG(seed, 2)), struck: map[Kind]int{}}, nil
}

// Addr is where clients connect to: host and port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Counts returns how many connections there were, and how many of them each kind
// of fault has hit.
func (p *Proxy) Counts() (served int, struck map[Kind]int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	struck = make(map[Kind]int, len(p.struck))
	maps.Copy(struck, p.struck)
	return p.served, struck
}

// Run forwards until ctx ends; then it resets what is open, waits for it, and
// returns nil. It runs once.
func (p *Proxy) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, p.close)
	defer stop()
	defer p.wait.Wait()
	defer p.close()
	for {
		conn, err := p.listener.Accept()
		switch {
		case ctx.Err() != nil, errors.Is(err, net.ErrClosed):
			if err == nil {
				_ = conn.Close()
			}
			return nil
		case err != nil: // out of descriptors, or a client that left at once
			if pause(ctx, 50*time.Millisecond) != nil {
				return nil
			}
			continue
		}
		p.wait.Go(func() { p.serve(ctx, conn) })
	}
}

func (p *Proxy) close() {
	_ = p.listener.Close()
	p.mu.Lock()
	p.closed = true
	links := slices.Clone(p.links)
	p.mu.Unlock()
	for _, l := range links {
		l.reset()
	}
}

// serve forwards one connection until both of its directions have ended.
func (p *Proxy) serve(ctx context.Context, client net.Conn) {
	p.mu.Lock()
	target := p.target
	p.mu.Unlock()
	d := net.Dialer{Timeout: dialTimeout}
	server, err := d.DialContext(ctx, "tcp", target)
	if err != nil { // the server is away: say so as its own kernel would
		cut(client)
		return
	}
	l := &link{client: client, server: server, done: make(chan struct{})}
	if !p.add(l) {
		l.reset()
		return
	}
	defer p.remove(l)
	defer l.finish()
	var both sync.WaitGroup
	both.Go(func() { l.pump(server, client, up) })
	l.pump(client, server, down)
	both.Wait()
}

func (p *Proxy) add(l *link) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	p.served++
	p.links = append(p.links, l)
	return true
}

func (p *Proxy) remove(l *link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.links, l); i >= 0 {
		p.links = slices.Delete(p.links, i, i+1)
	}
}

// Inject does f to its share of the open connections and returns how many that
// were.
func (p *Proxy) Inject(f Fault) int {
	p.mu.Lock()
	var hit []*link
	for _, l := range p.links {
		if p.random.Float64() < f.Share {
			hit = append(hit, l)
		}
	}
	p.struck[f.Kind] += len(hit)
	p.mu.Unlock()
	for _, l := range hit {
		l.suffer(f)
	}
	return len(hit)
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
