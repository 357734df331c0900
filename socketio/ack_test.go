package socketio_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"larder/socketio"
)

// An answer as text, for comparing.
func outcome(args socketio.Args, err error) string {
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%s %x", args.Values, args.Attachments)
}

func TestEmitAck(t *testing.T) {
	for name, tc := range map[string]struct {
		client func(p *peer, cancel func()) // after the question was read
		want   string
		after  time.Duration
	}{
		"answered":         {func(p *peer, _ func()) { p.send(`31["yes",2]`) }, `["yes" 2] []`, 0},
		"empty":            {func(p *peer, _ func()) { p.send(`31[]`) }, `[] []`, 0},
		"binary":           {func(p *peer, _ func()) { p.send(`61-1[{"_placeholder":true,"num":0}]`); p.sendBinary([]byte{1, 2}) }, `[{"_placeholder":true,"num":0}] [0102]`, 0},
		"another id":       {func(p *peer, _ func()) { p.send(`32["no"]`) }, socketio.ErrAckTimeout.Error(), 10 * time.Second},
		"repeated":         {func(p *peer, _ func()) { p.send(`31[1]`, `31[2]`) }, `[1] []`, 0},
		"never":            {func(*peer, func()) {}, socketio.ErrAckTimeout.Error(), 10 * time.Second},
		"caller gives up":  {func(_ *peer, cancel func()) { wait(time.Second); cancel() }, "context canceled", time.Second},
		"client leaves":    {func(p *peer, _ func()) { p.send(`1`) }, socketio.ErrNotConnected.Error(), 0},
		"connection ends":  {func(p *peer, _ func()) { p.write(frame{text: "1"}) }, socketio.ErrNotConnected.Error(), 0},
		"half of a binary": {func(p *peer, _ func()) { p.send(`61-1[]`) }, "", 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			eachTransport(t, func(t *testing.T, open func(*host) *peer) {
				h := serve(t, quiet(), func(srv *socketio.Server) { srv.Of("/") })
				p := open(h)
				p.connect("/", "")
				s := h.srv.Of("/").Sockets()[0]
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				start := time.Now()
				result := make(chan string, 1)
				go func() { result <- outcome(s.EmitAck(ctx, event(t, "question", "1"))) }()
				p.expect(`21["question",1]`)
				tc.client(p, cancel)
				got := <-result
				if name == "half of a binary" { // the connection ends at the same moment
					if got != socketio.ErrAckTimeout.Error() && got != socketio.ErrNotConnected.Error() {
						t.Errorf("EmitAck: got %s", got)
					}
				} else if got != tc.want {
					t.Errorf("EmitAck: got %s, want %s", got, tc.want)
				}
				if took := time.Since(start); took != tc.after {
					t.Errorf("took %v, want %v", took, tc.after)
				}
			})
		})
	}
}

// Acks are forgotten whatever becomes of them: with room for two, two more can
// always be asked for. A late ack is nothing to anybody. S-23, S-24
func TestAcksAreForgotten(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		cfg := quiet()
		cfg.MaxAcks = 2
		h := serve(t, cfg, func(srv *socketio.Server) { srv.Of("/") })
		p := open(h)
		p.connect("/", "")
		n := h.srv.Of("/")
		s := n.Sockets()[0]
		ev := event(t, "q")
		for round := range 3 {
			results := make(chan error, 2)
			for range 2 {
				go func() { _, err := s.EmitAck(t.Context(), ev); results <- err }()
			}
			first, second := p.next().text, p.next().text
			if _, err := s.EmitAck(t.Context(), ev); !errors.Is(err, socketio.ErrTooManyAcks) {
				t.Fatalf("third ack: got %v, want ErrTooManyAcks", err)
			}
			for range 2 {
				if err := <-results; !errors.Is(err, socketio.ErrAckTimeout) {
					t.Fatalf("round %d: got %v, want ErrAckTimeout", round, err)
				}
			}
			if round < 2 {
				continue
			}
			for _, text := range []string{first, second} { // too late
				id, _, _ := strings.Cut(text[1:], "[")
				p.send("3" + id + "[]")
			}
		}
		p.send("1")
		synctest.Wait()
		if _, err := s.EmitAck(t.Context(), ev); !errors.Is(err, socketio.ErrNotConnected) {
			t.Errorf("after disconnect: got %v, want ErrNotConnected", err)
		}
	})
}

// Three are asked by one packet; one answers, one leaves, one stays silent. S-25
func TestNamespaceEmitAck(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		h := serve(t, quiet(), func(srv *socketio.Server) {
			srv.Of("/").Use(func(_ context.Context, s *socketio.Socket) error { s.Join("jury"); return nil })
		})
		n := h.srv.Of("/")
		answering, leaving, silent, outside := open(h), open(h), open(h), open(h)
		want := map[string]string{}
		want[answering.connect("/", "")] = "[1] []"
		want[leaving.connect("/", "")] = socketio.ErrNotConnected.Error()
		want[silent.connect("/", "")] = socketio.ErrAckTimeout.Error()
		n.Sockets(outside.connect("/", ""))[0].Leave("jury")
		done := make(chan struct{})
		var answers []socketio.Answer
		var err error
		go func() {
			defer close(done)
			answers, err = n.EmitAck(t.Context(), event(t, "vote"), "jury")
		}()
		for _, p := range []*peer{answering, leaving, silent} {
			p.expect(`21["vote"]`)
		}
		answering.send("31[1]")
		leaving.send("1")
		<-done
		if err == nil || !strings.HasPrefix(err.Error(), "2 of 3 sockets") {
			t.Errorf("EmitAck: %v", err)
		}
		for _, a := range answers {
			if got := outcome(a.Args, a.Err); got != want[a.Socket.ID()] {
				t.Errorf("got %s, want %s", got, want[a.Socket.ID()])
			}
			delete(want, a.Socket.ID())
		}
		if len(want) > 0 {
			t.Errorf("no answer from %v", want)
		}
		if answers, err := n.EmitAck(t.Context(), event(t, "vote"), "nobody"); len(answers) != 0 || err != nil {
			t.Errorf("an empty room: got %v, %v", answers, err)
		}
	})
}

// From a handler, one asks in a goroutine, under the context of the socket.
func TestEmitAckBesideHandler(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		results := make(chan string, 2)
		h := serve(t, quiet(), func(srv *socketio.Server) {
			n := srv.Of("/")
			socketio.On(n, "start", func(ctx context.Context, s *socketio.Socket, _ any) (any, error) {
				_, err := n.EmitAck(ctx, event(t, "q"))
				results <- err.Error()
				go func() { results <- outcome(s.EmitAck(s.Context(), event(t, "q"))) }()
				return nil, nil
			})
		})
		p := open(h)
		p.connect("/", "")
		p.send(`2["start"]`)
		p.expect(`22["q"]`)
		p.send(`32["here"]`)
		if got := <-results; !strings.Contains(got, socketio.ErrInHandler.Error()) {
			t.Errorf("inline: got %s", got)
		}
		if got, want := <-results, `["here"] []`; got != want {
			t.Errorf("beside: got %s, want %s", got, want)
		}
	})
}

// A deadline of the context is the time of the call, shorter or longer than
// Config.AckTimeout, and passing it is an ErrAckTimeout all the same. S-24
func TestAckTimeoutPerCall(t *testing.T) {
	for name, limit := range map[string]time.Duration{"shorter": time.Second, "longer": time.Minute} {
		t.Run(name, func(t *testing.T) {
			eachTransport(t, func(t *testing.T, open func(*host) *peer) {
				h := serve(t, quiet(), func(srv *socketio.Server) { srv.Of("/") })
				p := open(h)
				p.connect("/", "")
				ctx, cancel := context.WithTimeout(t.Context(), limit)
				defer cancel()
				start := time.Now()
				result := make(chan error, 1)
				go func() { _, err := h.srv.Of("/").Sockets()[0].EmitAck(ctx, event(t, "q")); result <- err }()
				p.expect(`21["q"]`)
				err := <-result
				if !errors.Is(err, socketio.ErrAckTimeout) || !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("EmitAck: got %v, want ErrAckTimeout and DeadlineExceeded", err)
				}
				if took := time.Since(start); took != limit {
					t.Errorf("took %v, want %v", took, limit)
				}
			})
		})
	}
}

func TestEmitAckTo(t *testing.T) {
	for name, tc := range map[string]struct {
		answer string
		want   string
	}{
		"decodes":        {`31[{"n":7},2]`, "{7} <nil>"},
		"nothing":        {`31[]`, "{0} <nil>"},
		"something else": {`31["seven"]`, "{0} socketio: argument does not decode: json: cannot unmarshal string into Go value of type socketio_test.answer"},
		"null":           {`31[null]`, "{0} socketio: argument does not decode: null"},
		"never":          {`32[1]`, "{0} socketio: no ack in time"},
	} {
		t.Run(name, func(t *testing.T) {
			eachTransport(t, func(t *testing.T, open func(*host) *peer) {
				h := serve(t, quiet(), func(srv *socketio.Server) { srv.Of("/") })
				p := open(h)
				p.connect("/", "")
				result := make(chan string, 1)
				go func() {
					a, err := socketio.EmitAckTo[answer](t.Context(), h.srv.Of("/").Sockets()[0], event(t, "q"))
					result <- fmt.Sprintf("%v %v", a, err)
				}()
				p.expect(`21["q"]`)
				p.send(tc.answer)
				if got := <-result; got != tc.want {
					t.Errorf("EmitAckTo: got %s, want %s", got, tc.want)
				}
			})
		})
	}
}

type answer struct{ N int }

// ackObserver counts acks.
type ackObserver struct {
	socketio.Unobserved
	record
}

func (o *ackObserver) Acked(namespace string, after time.Duration) {
	o.add("%s after %v", namespace, after)
}
func (o *ackObserver) AckMissed(namespace string) { o.add("%s missed", namespace) }

// Observers hear of each ack that a client was asked for and of no other. One
// answers, one leaves, one is silent, one is not asked.
func TestObserverHearsOfAcks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		observer := &ackObserver{}
		cfg := quiet()
		cfg.Observer = observer
		h := serve(t, cfg, func(srv *socketio.Server) { srv.Of("/") })
		n := h.srv.Of("/")
		answering, leaving, silent, spared := h.websocket(), h.websocket(), h.websocket(), h.websocket()
		for _, p := range []*peer{answering, leaving, silent} {
			p.connect("/", "")
		}
		own := spared.connect("/", "")
		done := make(chan error, 1)
		go func() {
			_, err := n.EmitAckExcept(t.Context(), event(t, "q"), []string{own})
			done <- err
		}()
		silent.expect(`21["q"]`)
		wait(time.Second)
		answering.send(`31[1]`)
		synctest.Wait()
		leaving.send(`1`)
		if err := <-done; err == nil || !strings.HasPrefix(err.Error(), "2 of 3") {
			t.Errorf("EmitAckExcept: got %v", err)
		}
		if got, want := observer.take(), "/ after 1s; / missed; / missed"; got != want {
			t.Errorf("observer: got %q, want %q", got, want)
		}
	})
}
