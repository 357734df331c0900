package testkit

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// Logs keeps what was logged to it. It may be used from many goroutines.
type Logs struct {
	mu   sync.Mutex // guards text and when
	text bytes.Buffer
	when map[string]func()
	tee  io.Writer
}

// NewLogs returns Logs that also go to the output of a test, if there is one.
func NewLogs(tb testing.TB) *Logs {
	l := &Logs{tee: io.Discard}
	if tb != nil {
		l.tee = tb.Output()
	}
	return l
}

// Write implements io.Writer.
func (l *Logs) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Write(p)
	if !bytes.Contains(p, []byte(`"level":"DEBUG"`)) {
		_, _ = l.tee.Write(p)
	}
	return len(p), nil
}

// Handler returns a handler that logs everything as JSON.
func (l *Logs) Handler() slog.Handler {
	return handler{slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}), l}
}

// When has f called before a message is logged the next time, by the goroutine that
// logs it: a test holds it there while something else happens.
func (l *Logs) When(message string, f func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.when == nil {
		l.when = map[string]func(){}
	}
	l.when[message] = f
}

// handler is that of Logs. Nothing is locked while it calls what When was given.
type handler struct {
	slog.Handler
	l *Logs
}

// Handle implements slog.Handler.
func (h handler) Handle(ctx context.Context, r slog.Record) error {
	h.l.mu.Lock()
	f := h.l.when[r.Message]
	delete(h.l.when, r.Message)
	h.l.mu.Unlock()
	if f != nil {
		f()
	}
	return h.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (h handler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return handler{h.Handler.WithAttrs(attrs), h.l}
}

// WithGroup implements slog.Handler.
func (h handler) WithGroup(name string) slog.Handler { return handler{h.Handler.WithGroup(name), h.l} }

// String is everything that was logged.
func (l *Logs) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Line is one line that was logged.
type Line map[string]any

// Lines returns the lines with that message, oldest first.
func (l *Logs) Lines(message string) []Line {
	var lines []Line
	for text := range strings.Lines(l.String()) {
		var line Line
		if json.Unmarshal([]byte(text), &line) == nil && line["msg"] == message {
			lines = append(lines, line)
		}
	}
	return lines
}
