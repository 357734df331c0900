package engineio_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http/httptest"
	"testing"
	"time"

	"larder/engineio"
	"larder/internal/testkit/wire"
)

// dead is a server on a real network whose clients are about to die.
type dead struct {
	*testing.T
	srv      *engineio.Server
	server   *httptest.Server
	sessions chan *engineio.Session
}

const never = time.Hour

// newDead makes one that would take an hour to notice anything, save what change
// sets.
func newDead(t *testing.T, change func(*engineio.Config)) *dead {
	t.Helper()
	t.Parallel()
	cfg := engineio.Config{PingInterval: never, PingTimeout: never, WriteTimeout: never, UserTimeout: never}
	change(&cfg)
	d := &dead{T: t, sessions: make(chan *engineio.Session, 1)}
	srv, err := engineio.NewServer(cfg, func(s *engineio.Session) engineio.Receiver {
		d.sessions <- s
		return &app{Session: s}
	})
	if err != nil {
		t.Fatal(err)
	}
	d.srv, d.server = srv, newHTTPServer(t, srv)
	return d
}

func (d *dead) dial(ctx context.Context) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, "tcp", d.server.Listener.Addr().String())
}

// connect opens a session on a WebSocket and reads its open packet.
func (d *dead) connect() (*wire.WebSocket, *engineio.Session) {
	d.Helper()
	c, err := wire.DialWebSocket(d.Context(), d.dial, "/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(c.Abort)
	if _, err := c.ReadText(); err != nil {
		d.Fatal(err)
	}
	return c, <-d.sessions
}

// wantEnd wants a session closed for a reason, and then nothing left of it.
func (d *dead) wantEnd(s *engineio.Session, want engineio.Reason) engineio.Cause {
	d.Helper()
	patience := time.After(30 * time.Second)
	select {
	case <-s.Context().Done():
	case <-patience:
		d.Fatal("the session is still open")
	}
	cause, ok := context.Cause(s.Context()).(engineio.Cause) //nolint:errorlint // it is the cause itself
	if !ok || cause.Reason != want {
		d.Errorf("closed for %v, want %s", context.Cause(s.Context()), want)
	}
	for d.srv.Known() > 0 {
		select {
		case <-patience:
			d.Fatal("the session is closed and still there")
		case <-time.After(time.Millisecond):
		}
	}
	return cause
}

// tooMuch is more than the buffers of two systems take. An empty queue takes it.
var tooMuch = engineio.NewBinaryMessage(make([]byte, 48<<20))

// A peer that reads nothing ends within the write timeout, whether or not a close
// frame is due (E-43).
func TestWriteDeadlineFindsAPeerThatDoesNotRead(t *testing.T) {
	for name, last := range map[string]func(*engineio.Session) engineio.Reason{
		"in the middle": func(*engineio.Session) engineio.Reason { return engineio.ReasonTransportError },
		"closed by the server": func(s *engineio.Session) engineio.Reason {
			s.Close(byServer)
			return byServer
		},
		"too slow": func(s *engineio.Session) engineio.Reason {
			_ = s.Send(tooMuch) // the queue is not empty now, and cannot take that
			_ = s.Send(tooMuch)
			return engineio.ReasonSlow
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDead(t, func(c *engineio.Config) { c.WriteTimeout = 200 * time.Millisecond; c.QueueBytes = 1 << 20 })
			c, s := d.connect()
			if err := s.Flushed(t.Context()); err != nil {
				t.Fatal(err)
			}
			if err := s.Send(tooMuch); err != nil {
				t.Fatal(err)
			}
			d.wantByte(c.Conn)
			d.wantEnd(s, last(s))
		})
	}
}

// A peer that asks and does not read the answer ends likewise, and so does the
// request: the answer of a poll, and refusals without end (E-12).
func TestWriteDeadlineFindsAPollThatIsNotRead(t *testing.T) {
	for name, last := range map[string]func(*engineio.Session) engineio.Reason{
		"in the middle": func(*engineio.Session) engineio.Reason { return engineio.ReasonTransportError },
		"closed by the server": func(s *engineio.Session) engineio.Reason {
			s.Close(byServer)
			return byServer
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDead(t, func(c *engineio.Config) { c.WriteTimeout = 200 * time.Millisecond })
			p := &wire.Polling{Client: d.server.Client(), Base: d.server.URL + "/socket.io/"}
			if _, err := p.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			s := <-d.sessions
			if err := s.Send(tooMuch); err != nil {
				t.Fatal(err)
			}
			d.wantByte(d.request("/socket.io/?EIO=4&transport=polling&sid="+p.SID, 1))
			d.wantEnd(s, last(s))
			d.wantNoRequests()
		})
	}
	t.Run("refusals", func(t *testing.T) {
		d := newDead(t, func(c *engineio.Config) { c.WriteTimeout = 200 * time.Millisecond })
		d.request("/socket.io/?EIO=4&transport=none", 1<<20) // until nobody takes them any more
		d.wantNoRequests()
	})
}

// request sends a GET as often as the server takes it, and reads no answer.
func (d *dead) request(target string, times int) net.Conn {
	d.Helper()
	conn, err := d.dial(d.Context())
	if err != nil {
		d.Fatal(err)
	}
	d.Cleanup(func() { _ = conn.Close() })
	for range times {
		if _, err := io.WriteString(conn, fmt.Sprintf("GET %s HTTP/1.1\r\nHost: larder.test\r\n\r\n", target)); err != nil {
			return conn
		}
	}
	if times > 1 {
		d.Error("the server read everything")
	}
	return conn
}

// wantByte waits until something is being written.
func (d *dead) wantByte(conn net.Conn) {
	d.Helper()
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		d.Fatal(err)
	}
}

func (d *dead) wantNoRequests() {
	d.Helper()
	patience := time.After(30 * time.Second)
	for d.srv.Requests() > 0 {
		select {
		case <-patience:
			d.Fatal("a request is still being served")
		case <-time.After(time.Millisecond):
		}
	}
}
