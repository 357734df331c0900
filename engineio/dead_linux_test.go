package engineio_test

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"larder/engineio"
	"larder/internal/testkit/wire"
)

// deafen has the system drop whatever arrives for a connection before TCP sees
// it: nothing is acknowledged any more, as if a cable had been cut.
func deafen(t *testing.T, conn net.Conn) {
	t.Helper()
	const returnNothing = syscall.BPF_RET | syscall.BPF_K
	//lint:ignore SA1019 what replaces it is a module more, for one instruction
	err := control(t, conn, func(fd int) error { return syscall.AttachLsf(fd, []syscall.SockFilter{{Code: returnNothing}}) })
	if err != nil {
		t.Skipf("no socket filters here: %v", err)
	}
}

func control(t *testing.T, conn net.Conn, do func(fd int) error) error {
	t.Helper()
	raw, err := conn.(*net.TCPConn).SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil {
		t.Fatal(err)
	}
	return failed
}

// What was sent and is not acknowledged ends the session, long before a
// heartbeat would (E-43).
func TestUserTimeoutFindsAPeerThatDoesNotAcknowledge(t *testing.T) {
	d := newDead(t, func(c *engineio.Config) { c.UserTimeout = 500 * time.Millisecond })
	c, s := d.connect()
	deafen(t, c.Conn)
	if err := s.Send(engineio.NewMessage([]byte("into the void"))); err != nil {
		t.Fatal(err)
	}
	if cause := d.wantEnd(s, engineio.ReasonTransportError); !errors.Is(cause, syscall.ETIMEDOUT) {
		t.Errorf("closed for %v, want the system's timeout", cause)
	}
}

// The same peer is found by the heartbeat (E-55), and what is left of the
// connection is not waited for.
func TestHeartbeatFindsAPeerThatDoesNotAcknowledge(t *testing.T) {
	d := newDead(t, func(c *engineio.Config) { c.PingInterval, c.PingTimeout = 100*time.Millisecond, 100*time.Millisecond })
	c, s := d.connect()
	deafen(t, c.Conn)
	d.wantEnd(s, engineio.ReasonPingTimeout)
}

// A quiet peer is asked by the system whether it is there (E-43).
func TestKeepAliveFindsAPeerThatIsGone(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	client, err := new(net.Dialer).DialContext(t.Context(), "tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	conn, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	engineio.GiveUpTCP(conn, time.Second, time.Second)
	deafen(t, client)
	if err := conn.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 1)); !errors.Is(err, syscall.ETIMEDOUT) {
		t.Errorf("read: got %v, want the system's timeout", err)
	}
}

// The options of every WebSocket, over TLS too (E-43).
func TestTCPOptions(t *testing.T) {
	options := map[string][2]int{ // level, name
		"keep-alive": {syscall.SOL_SOCKET, syscall.SO_KEEPALIVE},
		"idle":       {syscall.IPPROTO_TCP, syscall.TCP_KEEPIDLE},
		"interval":   {syscall.IPPROTO_TCP, syscall.TCP_KEEPINTVL},
		"count":      {syscall.IPPROTO_TCP, syscall.TCP_KEEPCNT},
		"user":       {syscall.IPPROTO_TCP, 0x12},
	}
	for name, tc := range map[string]struct {
		cfg  engineio.Config
		tls  bool
		want map[string]int
	}{
		"defaults": {engineio.Config{}, false, map[string]int{"keep-alive": 1, "idle": 26, "interval": 5, "count": 4, "user": 45_000}},
		"TLS":      {engineio.Config{}, true, map[string]int{"keep-alive": 1, "idle": 26, "interval": 5, "count": 4, "user": 45_000}},
		"phones": {
			engineio.Config{PingInterval: 15 * time.Second, PingTimeout: 10 * time.Second},
			false,
			map[string]int{"keep-alive": 1, "idle": 16, "interval": 3, "count": 4, "user": 25_000},
		},
		"its own": {
			engineio.Config{UserTimeout: 2500 * time.Millisecond},
			false,
			map[string]int{"keep-alive": 1, "idle": 26, "interval": 1, "count": 4, "user": 2500},
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv, err := engineio.NewServer(tc.cfg, func(s *engineio.Session) engineio.Receiver { return &app{Session: s} })
			if err != nil {
				t.Fatal(err)
			}
			var accepted net.Conn
			server := httptest.NewUnstartedServer(srv)
			server.Config.ConnState = func(c net.Conn, state http.ConnState) {
				if state == http.StateHijacked {
					accepted = c
				}
			}
			var dial wire.DialFunc
			address := server.Listener.Addr().String()
			if tc.tls {
				server.StartTLS()
				secure := &tls.Dialer{Config: server.Client().Transport.(*http.Transport).TLSClientConfig}
				dial = func(ctx context.Context) (net.Conn, error) { return secure.DialContext(ctx, "tcp", address) }
			} else {
				server.Start()
				dial = func(ctx context.Context) (net.Conn, error) { return new(net.Dialer).DialContext(ctx, "tcp", address) }
			}
			defer server.Close()
			c, err := wire.DialWebSocket(t.Context(), dial, "/socket.io/?EIO=4&transport=websocket", nil)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Abort()
			if _, err := c.ReadText(); err != nil {
				t.Fatal(err)
			}
			if secure, ok := accepted.(*tls.Conn); ok {
				accepted = secure.NetConn()
			}
			for option, where := range options {
				var got int
				if err := control(t, accepted, func(fd int) (err error) {
					got, err = syscall.GetsockoptInt(fd, where[0], where[1])
					return err
				}); err != nil || got != tc.want[option] {
					t.Errorf("%s: got %d, %v, want %d", option, got, err, tc.want[option])
				}
			}
			c.Abort()
			if err := srv.Shutdown(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}
