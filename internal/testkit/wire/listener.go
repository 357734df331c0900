package wire

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// Host is the name that clients of a [Listener] call the server.
const Host = "larder.test"

// URL is the base URL for clients of a [Listener].
const URL = "http://" + Host

// DialFunc opens a connection to the server under test.
type DialFunc func(ctx context.Context) (net.Conn, error)

// Listener is an in-memory network: a net.Listener, and the way to dial it.
type Listener struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Listen returns a new network.
func Listen() *Listener {
	return &Listener{conns: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept implements net.Listener.
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements net.Listener.
func (l *Listener) Addr() net.Addr { return addr{} }

// Dial is a [DialFunc].
func (l *Listener) Dial(ctx context.Context) (net.Conn, error) {
	client, server := net.Pipe()
	return client, l.connect(ctx, server)
}

// DialFrom returns a [DialFunc] of a client at an address.
func (l *Listener) DialFrom(remote netip.AddrPort) DialFunc {
	return func(ctx context.Context) (net.Conn, error) {
		client, server := net.Pipe()
		return client, l.connect(ctx, from{server, remote})
	}
}

// from is a connection from an address.
type from struct {
	net.Conn
	remote netip.AddrPort
}

// RemoteAddr implements net.Conn.
func (f from) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(f.remote) }

func (l *Listener) connect(ctx context.Context, server net.Conn) error {
	select {
	case l.conns <- server:
		return nil
	case <-l.closed:
		return errors.New("wire: network is closed")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Client returns an http.Client that dials this network. Its idle connections
// have to be closed before a bubble ends; [Serve] does so at the end of the
// test when it closes the server.
func (l *Listener) Client() *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext:        func(ctx context.Context, _, _ string) (net.Conn, error) { return l.Dial(ctx) },
		DisableCompression: true,
	}}
}

// addr is the address of an in-memory connection.
type addr struct{}

func (addr) Network() string { return "memory" }
func (addr) String() string  { return Host }

// Serve serves h on a network of its own until the test ends. Each change to
// the http.Server is applied before it starts.
func Serve(tb testing.TB, h http.Handler, change ...func(*http.Server)) *Listener {
	tb.Helper()
	l := Listen()
	srv := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	for _, c := range change {
		c(srv)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			tb.Errorf("serve: %v", err)
		}
	}()
	tb.Cleanup(func() {
		if err := srv.Close(); err != nil {
			tb.Errorf("close HTTP server: %v", err)
		}
		<-done
	})
	return l
}
