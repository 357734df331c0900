package engineio_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gobwas/ws"

	"larder/engineio"
	"larder/internal/testkit/wire"
)

const byServer = engineio.ReasonForcedServerClose

func TestCloseWithPollHeld(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		held := r.hold(p)
		r.app(0).Close(byServer)
		r.want(<-held, 200, "1") // E-31
		r.unknown(r.get(p))
		r.wantReason(0, byServer)
	})
}

func TestCloseWithoutPoll(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		send(r, r.app(0), "last words")
		r.app(0).Close(byServer)
		r.wantReason(0, byServer) // at once, whenever the client learns of it
		if n := r.srv.Len(); n != 0 {
			r.Errorf("open sessions: got %d", n)
		}
		r.sleep(9 * time.Second)
		r.unknown(r.post(p, "4x"))
		r.want(r.get(p), 200, "4last words")
		r.want(r.get(p), 200, "1") // E-31
		r.unknown(r.get(p))
	})
}

func TestCloseGivesUpOnAPollThatDoesNotCome(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		r.app(0).Close(byServer)
		r.sleep(10 * time.Second)
		r.unknown(r.get(p))
	})
}

// The client's close and its poll are sent together; the close may win.
func TestPollJustAfterTheClientsClose(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		r.want(r.post(p, "1"), 200, "ok")
		r.wantReason(0, "transport close")
		r.sleep(100 * time.Millisecond)
		r.want(r.get(p), 200, "6") // E-30
		r.unknown(r.get(p))
	})
	bubble(t, func(r *rig) {
		p := r.open()
		r.want(r.post(p, "1"), 200, "ok")
		r.sleep(250 * time.Millisecond)
		r.unknown(r.get(p))
	})
	for range 100 { // both at once, in whatever order
		bubble(t, func(r *rig) {
			p := r.open()
			done := make(chan wire.Reply, 1)
			go func() {
				reply, _ := p.Get(r.Context())
				done <- reply
			}()
			r.want(r.post(p, "1"), 200, "ok")
			r.want(<-done, 200, "6")
			r.unknown(r.get(p))
		}, func(c *engineio.Config) { c.Logger = nil })
	}
}

func TestCloseOnWebSocket(t *testing.T) {
	for reason, code := range map[engineio.Reason]int{ // E-39
		engineio.ReasonForcedServerClose: 1000,
		engineio.ReasonForcedClose:       1008,
		engineio.ReasonParseError:        1002,
		engineio.ReasonShutdown:          1012,
		"of the application":             1000,
	} {
		bubble(t, func(r *rig) {
			c, _ := r.connect()
			send(r, r.app(0), "one", "two")
			r.app(0).Close(reason)
			r.wantReason(0, reason)
			r.wantText(c, "4one")
			r.wantText(c, "4two")
			op, data, err := c.Read()
			if err != nil || op != ws.OpClose {
				r.Fatalf("read: got %v, %v", op, err)
			}
			if got, text := ws.ParseCloseFrameData(data); int(got) != code || text != string(reason) {
				r.Errorf("close: got %d %q, want %d %q", got, text, code, reason)
			}
			if err := c.Send(wire.Frame{Op: ws.OpClose, Payload: data}); err != nil {
				r.Errorf("answer: %v", err)
			}
			start := time.Now()
			if _, _, err := c.Read(); err == nil || time.Since(start) != 0 {
				r.Errorf("after the answer: got %v after %v, want the end at once", err, time.Since(start))
			}
		})
	}
}

// What a client sends before it answers the close is read and thrown away; one
// that never answers is cut off.
func TestPeerThatDoesNotAnswerTheClose(t *testing.T) {
	bubble(t, func(r *rig) {
		c, _ := r.connect()
		r.app(0).Close(byServer)
		op, _, err := c.Read()
		if err != nil || op != ws.OpClose {
			r.Fatalf("read: got %v, %v", op, err)
		}
		start := time.Now()
		r.text(c, "4too late")
		if _, _, err := c.Read(); err == nil || time.Since(start) != 2*time.Second {
			r.Errorf("got %v after %v, want the end after 2s", err, time.Since(start))
		}
		if got := r.app(0).received(); len(got) != 0 {
			r.Errorf("received after the close: %q", got)
		}
	})
}

// A peer that does not even read the last words costs the write timeout.
func TestPeerThatDoesNotReadTheClose(t *testing.T) {
	bubble(t, func(r *rig) {
		c, _ := r.connect()
		start := time.Now()
		send(r, r.app(0), "one")
		r.app(0).Close(byServer)
		r.wantReason(0, byServer)
		if time.Since(start) != 0 {
			r.Error("Closed waited for the peer")
		}
		r.sleep(time.Second + 1) // the default is 10 s
		if _, _, err := c.Read(); err == nil {
			r.Error("the connection is still open")
		}
	}, func(c *engineio.Config) { c.WriteTimeout = time.Second })
}

func TestCloseFromInsideReceive(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		a := r.app(0)
		a.receive = func(string) error {
			a.Close(byServer)
			a.Close(engineio.ReasonForcedClose) // only the first counts
			if err := a.Send(engineio.NewMessage(nil)); !errors.Is(err, engineio.ErrClosed) {
				return fmt.Errorf("Send after Close: got %v", err)
			}
			synctest.Wait()
			if a.reason() != "" {
				return errors.New("Closed came before Receive returned")
			}
			return nil
		}
		r.want(r.post(p, "4x\x1e4not handed on"), 200, "ok")
		r.wantReason(0, byServer)
		if got := a.received(); len(got) != 1 {
			r.Errorf("received: got %q", got)
		}
		r.want(r.get(p), 200, "1")

		c, _ := r.connect()
		b := r.app(1)
		b.receive = func(string) error { b.Close(byServer); return errors.New("ignored") }
		r.text(c, "4x")
		r.wantClose(c, 1000)
		r.wantReason(1, byServer)
	})
}

func TestCloseInOpen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var closed []engineio.Cause
		srv, err := engineio.NewServer(engineio.Config{}, func(s *engineio.Session) engineio.Receiver {
			if err := s.Send(engineio.NewMessage([]byte("no"))); err != nil {
				t.Errorf("Send in open: %v", err)
			}
			s.Close(engineio.ReasonForcedClose)
			return receiverFunc(func(c engineio.Cause) { closed = append(closed, c) })
		})
		if err != nil {
			t.Fatal(err)
		}
		network := wire.Serve(t, srv)
		c, err := wire.DialWebSocket(t.Context(), network.Dial, "/socket.io/?EIO=4&transport=websocket", nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := c.ReadText(); err != nil || got[0] != '0' { // E-36
			t.Errorf("first frame: got %q, %v", got, err)
		}
		if got, err := c.ReadText(); err != nil || got != "4no" {
			t.Errorf("second frame: got %q, %v", got, err)
		}
		if _, err := c.ReadText(); err == nil || err.Error() != `wire: closed with 1008 "forced close"` {
			t.Errorf("third frame: got %v", err)
		}
		c.Abort()
		synctest.Wait()
		if len(closed) != 1 || closed[0].Reason != engineio.ReasonForcedClose {
			t.Errorf("Closed: got %v", closed)
		}
	})
}

// receiverFunc is a Receiver that only wants to know of the end.
type receiverFunc func(engineio.Cause)

func (receiverFunc) Receive([]byte) error       { return nil }
func (receiverFunc) ReceiveBinary([]byte) error { return nil }
func (f receiverFunc) Closed(c engineio.Cause)  { f(c) }

func TestShutdown(t *testing.T) {
	bubble(t, func(r *rig) {
		p := r.open()
		held := r.hold(p)
		between := r.open()
		gone := r.open()
		c, _ := r.connect()
		read := make(chan error, 1)
		go func() {
			_, err := c.ReadText()
			read <- err
			c.Abort()
		}()
		send(r, r.app(1), "last words")
		done := make(chan error, 1)
		start := time.Now()
		go func() { done <- r.srv.Shutdown(r.Context()) }()
		synctest.Wait()

		r.want(<-held, 200, "1")
		r.want(r.get(between), 200, "4last words")
		r.want(r.get(between), 200, "1")
		if err := <-read; err == nil || err.Error() != `wire: closed with 1012 "server shutting down"` {
			r.Errorf("WebSocket: got %v", err)
		}
		if n := r.srv.Len(); n != 0 {
			r.Errorf("open sessions: got %d", n)
		}
		reply := r.get(&wire.Polling{Client: r.client, Base: wire.URL + "/engine.io/"})
		r.refused(reply, 503, 3, "Server is shutting down")
		if reply.Header.Get("Retry-After") == "" {
			r.Error("no Retry-After")
		}
		_, err := wire.DialWebSocket(r.Context(), r.net.Dial, "/engine.io/?EIO=4&transport=websocket", nil)
		wantRefused(r, err, 503, "Server is shutting down")

		if err := <-done; err != nil {
			r.Errorf("Shutdown: %v", err)
		}
		if d := time.Since(start); d != time.Second {
			r.Errorf("Shutdown took %v, want the second that is given to polling clients between polls", d)
		}
		r.unknown(r.get(gone))
		for i := range 4 {
			r.wantReason(i, "server shutting down")
		}
		if err := r.srv.Shutdown(r.Context()); err != nil {
			r.Errorf("second Shutdown: %v", err)
		}
	})
}

// A session that was closing already, with its last words still to be fetched,
// keeps Shutdown no longer than any other. E-31
func TestShutdownOfOneThatIsClosing(t *testing.T) {
	for _, words := range [][]string{nil, {"last words"}} {
		bubble(t, func(r *rig) {
			p := r.open()
			send(r, r.app(0), words...)
			r.app(0).Close("of the application")
			start := time.Now()
			done := make(chan error, 1)
			go func() { done <- r.srv.Shutdown(context.WithoutCancel(r.Context())) }()
			want := time.Second
			if words != nil {
				r.sleep(time.Second / 2)
				r.want(r.get(p), 200, "4last words")
				want += time.Second / 2 // there is still the close packet
			}
			if err := <-done; err != nil || time.Since(start) != want {
				r.Errorf("Shutdown: got %v after %v, want it after %v", err, time.Since(start), want)
			}
			r.unknown(r.get(p))
			r.wantReason(0, "of the application")
		})
	}
}

// A session that is just being let in when Shutdown is called is refused, too.
func TestShutdownWhileOneOpens(t *testing.T) {
	var srv *engineio.Server
	shutdown := func(*http.Request) error {
		go func() { _ = srv.Shutdown(context.Background()) }()
		synctest.Wait()
		return nil
	}
	bubble(t, func(r *rig) {
		srv = r.srv
		r.refused(r.get(&wire.Polling{Client: r.client, Base: wire.URL + "/engine.io/"}), 503, 3, "Server is shutting down")
	}, func(c *engineio.Config) { c.Allow = shutdown })
	bubble(t, func(r *rig) {
		srv = r.srv
		_, err := wire.DialWebSocket(r.Context(), r.net.Dial, "/engine.io/?EIO=4&transport=websocket", nil)
		wantRefused(r, err, 503, "Server is shutting down")
	}, func(c *engineio.Config) { c.Allow = shutdown })
	bubble(t, func(r *rig) { // in the middle of the handshake
		srv = r.srv
		late := wire.Serve(r.T, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			srv.ServeHTTP(hijacked{w, func() { _ = shutdown(req) }}, req)
		}))
		c, err := wire.DialWebSocket(r.Context(), late.Dial, "/engine.io/?EIO=4&transport=websocket", nil)
		if err != nil {
			r.Fatal(err)
		}
		r.wantClose(c, 1012)
		if n := r.srv.Stats().Opened; n != 0 {
			r.Errorf("sessions: got %d", n)
		}
	})
}

// hijacked does something before a connection is taken over.
type hijacked struct {
	http.ResponseWriter
	before func()
}

func (h hijacked) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	h.before()
	return http.NewResponseController(h.ResponseWriter).Hijack()
}

func TestShutdownOfNothing(t *testing.T) {
	bubble(t, func(r *rig) {
		start := time.Now()
		if err := r.srv.Shutdown(r.Context()); err != nil || time.Since(start) != 0 {
			r.Errorf("Shutdown: got %v after %v", err, time.Since(start))
		}
	})
}

// When its context ends, Shutdown cuts what is left: here a peer that reads
// nothing, and one that does not come back for its last poll.
func TestShutdownGivesUp(t *testing.T) {
	bubble(t, func(r *rig) {
		c, _ := r.connect()
		r.open()
		send(r, r.app(0), "never read")
		synctest.Wait()
		wrong := errors.New("enough")
		ctx, cancel := context.WithTimeoutCause(r.Context(), 100*time.Millisecond, wrong)
		defer cancel()
		start := time.Now()
		if err := r.srv.Shutdown(ctx); !errors.Is(err, wrong) || time.Since(start) != 100*time.Millisecond {
			r.Errorf("Shutdown: got %v after %v", err, time.Since(start))
		}
		if _, _, err := c.Read(); err == nil {
			r.Error("the connection is still open")
		}
		if err := r.srv.Shutdown(r.Context()); err != nil || time.Since(start) != 100*time.Millisecond {
			r.Errorf("second Shutdown: got %v after %v", err, time.Since(start))
		}
	})
}

// Shutdown waits for a Receiver that takes its time.
func TestShutdownWaitsForTheReceiver(t *testing.T) {
	bubble(t, func(r *rig) {
		c, _ := r.connect()
		a := r.app(0)
		a.receive = func(string) error { r.sleep(5 * time.Second); return nil }
		r.text(c, "4x")
		c.Abort()
		synctest.Wait()
		start := time.Now()
		if err := r.srv.Shutdown(context.WithoutCancel(r.Context())); err != nil || time.Since(start) != 5*time.Second {
			r.Errorf("Shutdown: got %v after %v", err, time.Since(start))
		}
		if a.reason() == "" {
			r.Error("Closed has not been called")
		}
	})
}

// A peer that ends its side of the connection is gone, even while a write to
// it is stuck: nothing waits for the write timeout. Only TCP has half closes.
func TestHalfClosedByPeerWhileAWriteIsStuck(t *testing.T) {
	sessions := make(chan *engineio.Session, 1)
	srv, err := engineio.NewServer(engineio.Config{WriteTimeout: time.Hour}, func(s *engineio.Session) engineio.Receiver {
		sessions <- s
		return &app{Session: s}
	})
	if err != nil {
		t.Fatal(err)
	}
	server := newHTTPServer(t, srv)
	dial := func(ctx context.Context) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "tcp", server.Listener.Addr().String())
	}
	c, err := wire.DialWebSocket(t.Context(), dial, "/socket.io/?EIO=4&transport=websocket", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Abort()
	s := <-sessions
	// More than the buffers of the system take; an empty queue takes any batch.
	if err := s.Flushed(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Send(engineio.NewBinaryMessage(make([]byte, 64<<20))); err != nil {
		t.Fatal(err)
	}
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	<-s.Context().Done()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}
