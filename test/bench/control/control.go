// Package control is what the driver holds in its hand of every server written
// in Go: where it listens, and the order to emit.
package control

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"time"

	"larder/test/bench/event"
)

// Run serves on a free port until the process is killed. It prints one line of
// JSON that tells the address of the server and that of its control, whose
// only request is
//
//	POST /emit?n=100&every=100ms
//
// and which calls emit n times, at once or at a pace, before it answers. What
// emit gets is the time that the event has to carry: when it is due, which is
// the beginning for all of a burst. So a server that falls behind, or whose
// emit takes as long as the writing, does not look faster for it.
func Run(serve func(net.Listener) error, emit func(at time.Duration)) error {
	public, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	private, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /emit", func(w http.ResponseWriter, r *http.Request) {
		n, err := strconv.Atoi(r.FormValue("n"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		every, err := time.ParseDuration(r.FormValue("every"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		emitAll(n, every, emit)
	})
	failed := make(chan error, 2)
	go func() { failed <- serve(public) }()
	go func() { failed <- http.Serve(private, mux) }()
	if err := json.NewEncoder(os.Stdout).Encode(map[string]string{
		"addr": public.Addr().String(), "control": private.Addr().String(),
	}); err != nil {
		return fmt.Errorf("tell the addresses: %w", err)
	}
	return <-failed
}

func emitAll(n int, every time.Duration, emit func(at time.Duration)) {
	start := event.Now()
	for i := range n {
		at := start + time.Duration(i)*every
		time.Sleep(at - event.Now()) // not at all, if that is over
		emit(at)
	}
}
