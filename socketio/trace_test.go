package socketio_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"larder/socketio"
)

// syncBuffer is a log that several goroutines write.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// Whoever turns the wire log on sees what goes where, and never what is in it.
func TestTraceShowsPacketsWithoutTheirContent(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var out syncBuffer
		cfg := socketio.Config{Logger: slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))}
		h := serve(t, cfg, func(s *socketio.Server) {
			socketio.On(s.Of("/"), "ask", func(_ context.Context, s *socketio.Socket, _ json.RawMessage) (string, error) {
				ev, err := socketio.NewEvent("told", json.RawMessage(`"secret-b"`))
				if err != nil {
					return "", err
				}
				return "", s.Emit(ev)
			})
		})
		p := open(h)
		p.write(frame{text: `40{"token":"secret-a"}`}, frame{text: `42["ask","secret-c"]`})
		for range 2 {
			if _, err := p.read(); err != nil {
				t.Fatal(err)
			}
		}
		log := out.String()
		for _, want := range []string{"packet in", "type=CONNECT", "packet out", "event=ask", "event out", "event=told"} {
			if !strings.Contains(log, want) {
				t.Errorf("no %q in the log:\n%s", want, log)
			}
		}
		if strings.Contains(log, "secret") {
			t.Errorf("the log holds what clients said:\n%s", log)
		}
	})
}
