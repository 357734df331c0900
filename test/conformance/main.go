// Conformance serves what the two official protocol test suites are run
// against: an Engine.IO server that echoes on /engine.io/ and a Socket.IO
// server on /socket.io/, with the timings that the suites expect. It uses the
// public API of the packages engineio and socketio and nothing else.
//
//	go run ./test/conformance -addr 127.0.0.1:3000
//
// The tests beside it hold what the suites assert, in fake time: see assertions
// in suite_test.go.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"time"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:3000", "address to listen on")
	patient := flag.Bool("patient", false, "the usual timings, for clients on a busy machine")
	verbose := flag.Bool("v", false, "log every packet")
	flag.Parse()
	level := slog.LevelInfo
	if *verbose {
		level = slog.LevelDebug
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: level}))
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, *addr, *patient, log)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "conformance:", err)
		os.Exit(1)
	}
}

// run serves until ctx ends, and then answers and closes what is open.
func run(ctx context.Context, addr string, patient bool, log *slog.Logger) error {
	h, err := newHandler(log, patient)
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	log.Info("serving", "addr", l.Addr())
	web := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	if err = web.Serve(l); ctx.Err() != nil {
		err = nil // the listener was closed for it
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return errors.Join(err, h.Shutdown(last), web.Close())
}
