package socketio_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"larder/socketio"
)

// A handler that answers by itself decides what comes before its answer and what
// after. S-21
func TestOnAnswer(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		second := make(chan error, 2) // of the two questions that are answered
		h := serve(t, quiet(), func(srv *socketio.Server) {
			n := srv.Of("/")
			socketio.OnAnswer(n, "ask", func(_ context.Context, s *socketio.Socket, req int, answer func(int) error) error {
				if req < 0 {
					return errors.New("not that one")
				}
				err := errors.Join(s.Emit(event(t, "before")), answer(req+1), s.Emit(event(t, "after")))
				second <- answer(0)
				return err
			})
			n.OnError(func(context.Context, *socketio.Socket, socketio.Failure) json.RawMessage {
				return json.RawMessage(`"no"`)
			})
		})
		p := open(h)
		p.connect("/", "")
		p.send(`27["ask",3]`)
		p.expect(`2["before"]`, `37[4]`, `2["after"]`)
		if <-second == nil {
			t.Error("a second answer: got no error")
		}
		p.send(`2["ask",3]`) // nobody asks for an answer
		p.expect(`2["before"]`, `2["after"]`)
		p.send(`28["ask",-1]`)
		p.expect(`38["no"]`)
		p.send(`29["ask","x"]`)
		p.expect(`39["no"]`)
	})
}
