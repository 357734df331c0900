// Engine serves the packages engineio and socketio without the product, for the
// tests of the JavaScript client in the folder above. Clients find the
// namespaces of app.go; what only a server can do, a test asks for by a POST to
// /do (do.go). What happens to sockets is told on stdout, one JSON object a
// line. reference.mjs, beside the tests, is the same on the Node server.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"larder/engineio"
	"larder/socketio"
)

func main() {
	var cfg socketio.Config
	cfg.Rates.Socket.PerSecond = math.Inf(1) // long streams go over any sane limit
	flag.IntVar(&cfg.Engine.MaxPayload, "maxPayload", 1_000_000, "")
	flag.DurationVar(&cfg.Engine.PingInterval, "pingInterval", 25*time.Second, "")
	flag.DurationVar(&cfg.Engine.PingTimeout, "pingTimeout", 20*time.Second, "")
	flag.DurationVar(&cfg.ConnectTimeout, "connectTimeout", 10*time.Second, "")
	flag.DurationVar(&cfg.AckTimeout, "ackTimeout", 10*time.Second, "")
	recovery := flag.Bool("recovery", false, "")
	flag.Parse()
	cfg.Logger = slog.New(slog.NewJSONHandler(os.Stderr, nil))

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, cfg, *recovery, os.Stdout)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "engine:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, and then closes what is open.
func run(ctx context.Context, cfg socketio.Config, recovery bool, out io.Writer) error {
	io, err := socketio.NewServer(cfg)
	if err != nil {
		return err
	}
	a := &app{io: io, out: json.NewEncoder(out), heard: make(map[string][]json.RawMessage)}
	a.setUp()
	if recovery {
		memory, err := socketio.NewMemoryRecovery(socketio.MemoryConfig{})
		if err != nil {
			return err
		}
		for _, name := range namespaces() {
			io.Of(name).Recover(memory)
		}
	}
	mux := http.NewServeMux()
	mux.Handle("/socket.io/", io)
	mux.HandleFunc("POST /do", a.serveDo)

	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	a.tell(report{What: "serving", URL: "http://" + l.Addr().String()})
	web := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	if err = web.Serve(l); ctx.Err() != nil {
		err = nil // the listener was closed for it
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, io.Shutdown(last), web.Close())
}

// app is the application that is served.
type app struct {
	io *socketio.Server

	mu    sync.Mutex // guards what follows
	out   *json.Encoder
	heard map[string][]json.RawMessage // by socket id: first arguments of its notes
}

// report is one line of stdout.
type report struct {
	What   string          `json:"what"` // serving, connect, disconnect
	URL    string          `json:"url,omitempty"`
	Nsp    string          `json:"nsp,omitempty"`
	ID     string          `json:"id,omitempty"`
	Reason engineio.Reason `json:"reason,omitempty"`
}

func (a *app) tell(r report) {
	a.mu.Lock()
	defer a.mu.Unlock()
	_ = a.out.Encode(r) // whoever does not read it has gone
}
