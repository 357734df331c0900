package socketio_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"larder/engineio"
	"larder/socketio"
)

// TestTranscripts plays the files of testdata/transcripts over both transports.
// Each line is an Engine.IO packet as it stands on the wire:
//
//	> 42["e"]   the client sends it; lines with + follow in the same POST
//	< 43[1]     the server sends it; SID stands for a socket id
//	< x 0102    a binary message, in hexadecimal; the same with >
//	closed      the server has closed the connection, at once
//	# text      a remark
//
// Between them they hold every clause that says what closes a connection. What
// the official protocol suite asserts is in test/conformance.
func TestTranscripts(t *testing.T) {
	files, err := filepath.Glob("testdata/transcripts/*.txt")
	if err != nil || len(files) < 40 {
		t.Fatalf("found %d transcripts, want at least 40 (%v)", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			script, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			eachTransport(t, func(t *testing.T, open func(*host) *peer) {
				play(t, open(serve(t, suiteConfig(), application)), string(script))
			})
		})
	}
}

// suiteConfig has the times of the official suite. On the bubble's clock a
// ping comes when there is nothing else to do.
func suiteConfig() socketio.Config {
	return socketio.Config{
		Engine:         engineio.Config{PingInterval: 300 * time.Millisecond, PingTimeout: 200 * time.Millisecond},
		ConnectTimeout: time.Second,
	}
}

func play(t *testing.T, p *peer, script string) {
	t.Helper()
	var out []frame
	for number, line := range strings.Split(strings.TrimSuffix(script, "\n"), "\n") {
		if line == "" || line[0] == '#' {
			continue
		}
		op, text, _ := strings.Cut(line, " ")
		if op != "+" && len(out) > 0 {
			p.write(out...)
			out = nil
		}
		f := frame{text: text}
		if code, ok := strings.CutPrefix(text, "x "); ok {
			data, err := hex.DecodeString(code)
			if err != nil {
				t.Fatalf("line %d: %v", number+1, err)
			}
			f = frame{data: data}
		}
		switch op {
		case ">", "+":
			out = append(out, f)
		case "<":
			got, err := p.read()
			if err != nil || !matches(f.String(), got.String()) {
				t.Fatalf("line %d: got %s (%v), want %s", number+1, got, err, f)
			}
		case "closed":
			p.expectClosed()
		default:
			t.Fatalf("line %d: what is %q?", number+1, line)
		}
	}
	if len(out) > 0 {
		t.Fatal("a transcript ends with what the server says")
	}
}

// application answers on / and /custom like the one of the official suite, and on
// /more as the other transcripts need it.
func application(srv *socketio.Server) {
	for _, name := range []string{"/", "/custom"} {
		n := srv.Of(name)
		n.OnConnect(func(_ context.Context, s *socketio.Socket) {
			ev, err := socketio.NewEvent("auth", s.Handshake().Auth)
			if err == nil {
				_ = s.Emit(ev)
			}
		})
		n.OnRaw("message", func(_ context.Context, s *socketio.Socket, args socketio.Args) (*socketio.Args, error) {
			ev, err := socketio.NewBinaryEvent("message-back", args)
			if err == nil {
				err = s.Emit(ev)
			}
			return nil, err
		})
		n.OnRaw("message-with-ack", func(_ context.Context, _ *socketio.Socket, args socketio.Args) (*socketio.Args, error) {
			return &args, nil
		})
	}
	more := srv.Of("/more")
	more.Use(gate)
	more.OnError(func(_ context.Context, _ *socketio.Socket, f socketio.Failure) json.RawMessage {
		switch {
		case errors.Is(f.Err, socketio.ErrArgument):
			return json.RawMessage(`{"error":"argument"}`)
		case f.Err.Error() == "unanswerable":
			return nil
		}
		return json.RawMessage(`{"error":"internal"}`)
	})
	socketio.On(more, "add", func(_ context.Context, _ *socketio.Socket, req struct{ A, B int }) (int, error) {
		return req.A + req.B, nil
	})
	socketio.On(more, "length", func(_ context.Context, _ *socketio.Socket, req string) (map[string]int, error) {
		return map[string]int{"<&>": len(req)}, nil
	})
	socketio.On(more, "optional", func(_ context.Context, _ *socketio.Socket, req *int) (bool, error) {
		return req != nil, nil
	})
	socketio.On(more, "fail", func(context.Context, *socketio.Socket, any) (any, error) {
		return nil, errors.New("secret detail")
	})
	socketio.On(more, "silent", func(context.Context, *socketio.Socket, any) (any, error) {
		return nil, errors.New("unanswerable")
	})
	socketio.On(more, "panic", func(context.Context, *socketio.Socket, any) (any, error) { panic("secret detail") })
	socketio.On(more, "1", func(context.Context, *socketio.Socket, any) (string, error) { return "one", nil })
	more.OnRaw("nonsense", func(context.Context, *socketio.Socket, socketio.Args) (*socketio.Args, error) {
		return &socketio.Args{Values: raw("{")}, nil
	})
	more.OnRaw("leave", func(_ context.Context, s *socketio.Socket, _ socketio.Args) (*socketio.Args, error) {
		s.Disconnect()
		return &socketio.Args{}, nil
	})
	more.OnRaw("leave-all", func(_ context.Context, s *socketio.Socket, _ socketio.Args) (*socketio.Args, error) {
		s.DisconnectAll()
		return nil, nil
	})
	more.OnRaw("close", func(_ context.Context, s *socketio.Socket, _ socketio.Args) (*socketio.Args, error) {
		s.Close(engineio.ReasonForcedServerClose)
		return nil, nil
	})
	socketio.On(more, "ask", func(ctx context.Context, s *socketio.Socket, _ any) (string, error) {
		ev, err := socketio.NewEvent("question")
		if err != nil {
			return "", err
		}
		_, err = s.EmitAck(ctx, ev)
		return err.Error(), nil
	})
	for _, name := range []string{"/1", "/2", "/3", "/4", "/5", "/6", "/7", "/8", "/9"} {
		srv.Of(name)
	}
}

// gate lets in who says nothing, and otherwise does what it is told.
func gate(_ context.Context, s *socketio.Socket) error {
	var auth struct{ Do string }
	if err := json.Unmarshal(s.Handshake().Auth, &auth); err != nil {
		return err
	}
	switch auth.Do {
	case "refuse":
		return &socketio.Refusal{Message: "not <you>"}
	case "refuse with data":
		return &socketio.Refusal{Message: "not you", Data: map[string]any{"code": "token_missing", "retry": false}}
	case "fail":
		return errors.New("secret detail")
	case "panic":
		panic("secret detail")
	case "leave":
		s.Disconnect()
	}
	return nil
}
