// Package telemetry makes the loggers of a node and gathers its health. Log
// messages are constant and keys are in snake case; a token, a password or an
// address never gets in.
package telemetry

import (
	"context"
	"io"
	"log/slog"
	"os"
	"path"
	"strings"
	"sync"
	"time"

	"larder/api"
)

// NewLogger returns a logger that writes to w. format is text, json, or empty for
// text on a terminal and JSON elsewhere.
func NewLogger(w io.Writer, level slog.Leveler, format string) *slog.Logger {
	opts := &slog.HandlerOptions{Level: level}
	if format == "json" || format == "" && !isTerminal(w) {
		return slog.New(slog.NewJSONHandler(w, opts))
	}
	return slog.New(slog.NewTextHandler(w, opts))
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	st, err := f.Stat()
	return err == nil && st.Mode()&os.ModeCharDevice != 0
}

// Wire returns the logger of a part of the wire: log, with everything shown when
// the comma list debug names it. The names are those that users know from the
// reference: socket.io and engine, with a pattern after a colon.
func Wire(log *slog.Logger, w io.Writer, format, debug, part string) *slog.Logger {
	for pattern := range strings.SplitSeq(debug, ",") {
		name, _, _ := strings.Cut(strings.TrimSpace(pattern), ":")
		if ok, err := path.Match(name, part); err == nil && ok && name != "" {
			return NewLogger(w, slog.LevelDebug, format).With("part", part)
		}
	}
	return log.With("part", part)
}

// Check is one thing that has to work.
type Check struct {
	Name string
	Run  func(context.Context) error
}

// checkTimeout bounds one look at everything.
const checkTimeout = 2 * time.Second

// Health looks at the checks of a node. It may be used from many goroutines.
type Health struct {
	checks []Check

	mu       sync.Mutex // guards draining
	draining bool
}

// NewHealth returns a Health of these checks.
func NewHealth(checks ...Check) *Health { return &Health{checks: checks} }

// Drain makes the node unready from now on.
func (h *Health) Drain() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.draining = true
}

// Report runs all checks. What failed is named; why is for the log, not for
// everybody.
func (h *Health) Report(ctx context.Context, log *slog.Logger) api.Health {
	ctx, cancel := context.WithTimeout(ctx, checkTimeout)
	defer cancel()
	r := api.Health{Status: "OK", Timestamp: api.At(time.Now()), Checks: map[string]string{}}
	for _, c := range h.checks {
		r.Checks[c.Name] = "OK"
		if err := c.Run(ctx); err != nil {
			r.Status, r.Checks[c.Name] = "DOWN", "DOWN"
			log.Error("health check failed", "check", c.Name, "err", err)
		}
	}
	return r
}

// Ready is Report, and DOWN while the node drains.
func (h *Health) Ready(ctx context.Context, log *slog.Logger) api.Health {
	r := h.Report(ctx, log)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.draining {
		r.Status, r.Checks["draining"] = "DOWN", "YES"
	}
	return r
}
