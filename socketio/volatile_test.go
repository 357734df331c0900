package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"testing/synctest"

	"larder/socketio"
)

// listen reads one message in the background, on polling with a poll that is held.
func (p *peer) listen() <-chan string {
	heard := make(chan string, 1)
	go func() {
		f, err := p.read()
		if err != nil {
			f.text = err.Error()
		}
		heard <- f.String()
	}()
	synctest.Wait()
	return heard
}

// A volatile event reaches those whose connection can take it now, and is
// forgotten for all others, attachments and all. S-42
func TestVolatile(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		h := serve(t, quiet(), func(srv *socketio.Server) { srv.Of("/") })
		n := h.srv.Of("/")
		busy, idle := open(h), open(h)
		busy.connect("/", "")
		stuck := n.Sockets()[0]
		idle.connect("/", "")
		synctest.Wait()
		heard := idle.listen()
		if err := stuck.Emit(event(t, "first")); err != nil { // nobody reads it yet
			t.Fatal(err)
		}
		binary, err := socketio.NewBinaryEvent("b", socketio.Args{
			Values: []json.RawMessage{socketio.Placeholder(0)}, Attachments: [][]byte{{7}},
		})
		if err != nil {
			t.Fatal(err)
		}
		place := event(t, "place", "1").Volatile()
		synctest.Wait()
		for _, ev := range []*socketio.Event{ // they take no room
			binary.Volatile(), binary.Volatile().Uncompressed(), binary.Uncompressed().Volatile(),
		} {
			if err := stuck.Emit(ev); !errors.Is(err, socketio.ErrDropped) {
				t.Errorf("Emit to a busy connection: got %v, want ErrDropped", err)
			}
		}
		if _, err := stuck.EmitAck(t.Context(), place); !errors.Is(err, socketio.ErrDropped) {
			t.Errorf("EmitAck to a busy connection: got %v, want ErrDropped", err)
		}
		n.Emit(place)
		if got, want := <-heard, `42["place",1]`; got != want {
			t.Errorf("the idle one heard %s, want %s", got, want)
		}
		busy.expect(`2["first"]`)
		again := busy.listen()
		if err := stuck.Emit(binary.Volatile()); err != nil {
			t.Errorf("Emit to an idle connection: %v", err)
		}
		if got, want := <-again, `451-["b",{"_placeholder":true,"num":0}]`; got != want {
			t.Errorf("heard %s, want %s", got, want)
		}
		busy.expect("binary 07")
	})
}

// Until its CONNECT answer is queued, a socket cannot take anything now. S-42
func TestVolatileBeforeTheAnswer(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		h := serve(t, quiet(), func(srv *socketio.Server) {
			srv.Of("/").Use(func(_ context.Context, s *socketio.Socket) error {
				if err := s.Emit(event(t, "e").Volatile()); !errors.Is(err, socketio.ErrNotConnected) {
					t.Errorf("in a middleware: got %v, want ErrNotConnected", err)
				}
				return nil
			})
		})
		open(h).connect("/", "")
	})
}
