// Package testkit runs whole nodes in tests and talks to them as clients do: over
// HTTP, Socket.IO and the plain WebSocket.
//
// A node of [Start] is the real thing, made by package node, with a database of
// its own. It listens on a free port of this machine, or, inside a testing/synctest
// bubble, on an in-memory network, so that its clock can be run ahead. It is
// stopped at the end of the test, which fails when that was not clean.
//
// Helpers fail their test by themselves and belong to its goroutine, except those
// whose name begins with Try.
package testkit

import (
	"context"
	"errors"
	"flag"
	"log/slog"
	"net"
	"net/http"
	"testing"

	"larder/internal/auth"
	"larder/internal/config"
	"larder/internal/node"
	"larder/internal/testkit/wire"
)

// Secret signs the tokens of all nodes here.
const Secret = "the secret of every test node"

// Options say what is different from a node with default settings.
type Options struct {
	DataDir  string               // empty: a temporary one
	Database string               // its address; empty: SQLite in DataDir
	Config   func(*config.Config) // changes settings before the node is built
	Network  *wire.Listener       // nil: a free TCP port of this machine
	Wire     *Logs                // where wire logs go; nil: nowhere
}

// Node is a running node and its test.
type Node struct {
	*node.Node
	Config config.Config
	HTTP   *http.Client // on a connection pool of its own
	Logs   *Logs        // what the node logged, from level debug on
	Tokens *auth.Tokens // that the node accepts
	Dial   wire.DialFunc

	tb    testing.TB
	stop  context.CancelCauseFunc
	ended chan struct{}
	err   error // of Run, once ended is closed
}

// Config returns the settings of a test node with its data in a folder.
func Config(dataDir string) (config.Config, error) {
	s := config.Bind(flag.NewFlagSet("node", flag.ContinueOnError))
	return s.Load([]string{"--host=127.0.0.1", "--port=0", "--data-dir=" + dataDir, "--jwt-secret=" + Secret},
		func(string) (string, bool) { return "", false }, "")
}

// Start runs a node until the end of the test, or until Stop.
func Start(tb testing.TB, o Options) *Node {
	tb.Helper()
	if o.DataDir == "" {
		o.DataDir = tb.TempDir()
	}
	cfg, err := Config(o.DataDir)
	if err != nil {
		tb.Fatal(err)
	}
	n := &Node{tb: tb, Config: cfg, Logs: NewLogs(tb), ended: make(chan struct{})}
	if o.Database != "" {
		n.Config.DatabaseURL = o.Database
	}
	if o.Config != nil {
		o.Config(&n.Config)
	}
	var opts []node.Option
	if o.Network != nil {
		opts = append(opts, node.WithListener(o.Network))
	}
	if o.Wire == nil {
		o.Wire = NewLogs(nil)
	}
	n.Node, err = node.New(tb.Context(), n.Config, slog.New(n.Logs.Handler()), o.Wire, opts...)
	if err != nil {
		tb.Fatalf("node.New: %v", err)
	}
	n.Tokens = auth.NewTokens([]byte(n.Config.JWTSecret), n.Config.JWTTTL)
	n.connect(o.Network)
	ctx, stop := context.WithCancelCause(context.Background())
	n.stop = stop
	go func() {
		defer close(n.ended)
		n.err = n.Run(ctx)
	}()
	tb.Cleanup(func() {
		if err := n.Stop(); err != nil {
			tb.Errorf("node did not stop cleanly: %v", err)
		}
	})
	return n
}

// connect sets how clients reach the node.
func (n *Node) connect(network *wire.Listener) {
	if network != nil {
		n.HTTP, n.Dial = network.Client(), network.Dial
	} else {
		addr := n.URL()[len("http://"):]
		n.Dial = func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", addr) }
		n.HTTP = &http.Client{Transport: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 64}}
	}
	n.HTTP.Transport = checked{n.tb, n.HTTP.Transport}
	n.HTTP.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
}

var errStop = errors.New("the test is over")

// Stopping begins an orderly stop and returns at once; Ended is closed after it.
func (n *Node) Stopping() { n.stop(errStop) }

// Ended is closed when the node has stopped.
func (n *Node) Ended() <-chan struct{} { return n.ended }

// Stop stops the node and returns what Run did. It may be called again.
func (n *Node) Stop() error {
	n.Stopping()
	<-n.ended
	n.HTTP.CloseIdleConnections()
	return n.err
}
