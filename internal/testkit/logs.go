package testkit

import (
	"bytes"
	"encoding/json"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
)

// Logs keeps what was logged to it. It may be used from many goroutines.
type Logs struct {
	mu   sync.Mutex // guards text
	text bytes.Buffer
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
	return slog.NewJSONHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug})
}

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
