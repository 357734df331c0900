package telemetry_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"larder/internal/telemetry"
)

func TestFormat(t *testing.T) {
	for format, isJSON := range map[string]bool{"json": true, "text": false, "": true} { // a buffer is no terminal
		var b bytes.Buffer
		telemetry.NewLogger(&b, slog.LevelInfo, format).Info("hello", "user_id", 1)
		var line map[string]any
		if err := json.Unmarshal(b.Bytes(), &line); (err == nil) != isJSON || !strings.Contains(b.String(), "user_id") {
			t.Errorf("%q: got %s", format, b.String())
		}
	}
	var b bytes.Buffer
	log := telemetry.NewLogger(&b, slog.LevelWarn, "text")
	if log.Info("no"); b.Len() != 0 {
		t.Errorf("got %s", b.String())
	}
}

// DEBUG shows the parts that it names, in the patterns that users know.
func TestWire(t *testing.T) {
	for debug, want := range map[string][]string{
		"":                      nil,
		"socket.io:*":           {"socket.io"},
		"engine:*":              {"engine"},
		"engine":                {"engine"},
		"socket.io:*, engine:*": {"engine", "socket.io"},
		"*":                     {"engine", "socket.io"},
		"socket*":               {"socket.io"},
		"engine:ws,x:*":         {"engine"},
		"express:*":             nil,
		"[":                     nil,
		",,":                    nil,
		":*":                    nil,
		"Engine:*":              nil,
	} {
		var got []string
		for _, part := range []string{"engine", "socket.io"} {
			var usual, wire bytes.Buffer
			log := telemetry.Wire(telemetry.NewLogger(&usual, slog.LevelInfo, "json"), &wire, "json", debug, part)
			log.Debug("packet")
			if usual.Len() > 0 {
				t.Errorf("%q: debug in the usual log: %s", debug, usual.String())
			}
			if strings.Contains(wire.String(), `"part":"`+part+`"`) {
				got = append(got, part)
			}
			log.Warn("trouble")
			if !strings.Contains(usual.String()+wire.String(), "trouble") {
				t.Errorf("%q: a warning of %s is lost", debug, part)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", debug, diff)
		}
	}
}

func TestHealth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var logged bytes.Buffer
		log := telemetry.NewLogger(&logged, slog.LevelInfo, "json")
		var broken error
		stuck := false
		h := telemetry.NewHealth(
			telemetry.Check{Name: "store", Run: func(context.Context) error { return broken }},
			telemetry.Check{Name: "far", Run: func(ctx context.Context) error {
				if stuck {
					<-ctx.Done()
				}
				return ctx.Err()
			}},
		)
		expect := func(what, status string, checks map[string]string) {
			t.Helper()
			got := h.Report(t.Context(), log)
			if what == "ready" {
				got = h.Ready(t.Context(), log)
			}
			if diff := cmp.Diff(checks, got.Checks); got.Status != status || diff != "" {
				t.Errorf("%s: got %s, want %s (-want +got):\n%s", what, got.Status, status, diff)
			}
		}
		expect("report", "OK", map[string]string{"store": "OK", "far": "OK"})
		expect("ready", "OK", map[string]string{"store": "OK", "far": "OK"})
		broken = errors.New("the disk has gone")
		expect("report", "DOWN", map[string]string{"store": "DOWN", "far": "OK"})
		if !strings.Contains(logged.String(), "the disk has gone") {
			t.Errorf("why is not in the log: %s", logged.String())
		}
		broken, stuck = nil, true
		start := time.Now()
		expect("report", "DOWN", map[string]string{"store": "OK", "far": "DOWN"})
		if d := time.Since(start); d != 2*time.Second {
			t.Errorf("a check that hangs took %v", d)
		}
		stuck = false
		h.Drain()
		expect("report", "OK", map[string]string{"store": "OK", "far": "OK"})
		expect("ready", "DOWN", map[string]string{"store": "OK", "far": "OK", "draining": "YES"})
		if got := h.Report(t.Context(), slog.New(slog.NewTextHandler(io.Discard, nil))); !got.Timestamp.Equal(time.Now()) {
			t.Errorf("timestamp %v", got.Timestamp)
		}
	})
}
