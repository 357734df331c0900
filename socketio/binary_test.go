package socketio_test

import (
	"bytes"
	"context"
	"testing"
	"testing/synctest"
	"time"

	"larder/socketio"
)

const twoAttachments = `52-1["keep",{"_placeholder":true,"num":0},{"_placeholder":true,"num":1}]`

// Attachments must be complete in time, counted from their head. S-33
func TestBinaryTimeout(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		h := serve(t, quiet(), func(srv *socketio.Server) {
			srv.Of("/").OnRaw("keep", func(context.Context, *socketio.Socket, socketio.Args) (*socketio.Args, error) {
				return &socketio.Args{}, nil
			})
		})
		intime, late := open(h), open(h)
		for _, p := range []*peer{intime, late} {
			p.connect("/", "")
			p.send(twoAttachments)
		}
		wait(time.Second)
		intime.sendBinary([]byte{1})
		late.sendBinary([]byte{1})
		wait(9*time.Second - time.Millisecond)
		intime.sendBinary([]byte{2})
		intime.expect("31[]")
		wait(time.Millisecond)
		synctest.Wait()
		if got := h.srv.Len(); got != 1 {
			t.Fatalf("%d connections, want only the one in time", got)
		}
		late.expectClosed()
		wait(time.Minute)
		intime.send(twoAttachments) // its timer is gone, and the next may come
		intime.sendBinary([]byte{1}, []byte{2})
		intime.expect("31[]")
	})
}

// The attachments of one packet are bounded together. S-33
func TestBinaryBytes(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		cfg := quiet()
		cfg.MaxBinaryBytes = 100
		h := serve(t, cfg, func(srv *socketio.Server) {
			srv.Of("/").OnRaw("keep", func(_ context.Context, _ *socketio.Socket, args socketio.Args) (*socketio.Args, error) {
				args.Values = nil
				return &args, nil
			})
		})
		p := open(h)
		p.connect("/", "")
		for range 3 { // counted for each packet anew
			p.send(twoAttachments)
			p.sendBinary(bytes.Repeat([]byte{1}, 50), bytes.Repeat([]byte{2}, 50))
			p.expect("62-1[]")
			p.next()
			p.next()
		}
		p.send(twoAttachments)
		p.sendBinary(bytes.Repeat([]byte{1}, 50), bytes.Repeat([]byte{2}, 51))
		p.expectClosed()
	})
}

// What a raw handler got is its own, and stays what it was.
func TestRawArgsAreKept(t *testing.T) {
	eachTransport(t, func(t *testing.T, open func(*host) *peer) {
		var kept []socketio.Args
		h := serve(t, quiet(), func(srv *socketio.Server) {
			srv.Of("/").OnRaw("keep", func(_ context.Context, _ *socketio.Socket, args socketio.Args) (*socketio.Args, error) {
				kept = append(kept, args)
				return &socketio.Args{}, nil
			})
		})
		p := open(h)
		p.connect("/", "")
		p.send(`21["keep","aaaa"]`)
		p.expect("31[]")
		p.send(twoAttachments)
		p.sendBinary([]byte("bbbb"), []byte("cccc"))
		p.expect("31[]")
		for range 20 {
			p.send(`21["keep","xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"]`)
			p.expect("31[]")
		}
		if got, want := outcome(kept[0], nil), `["aaaa"] []`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
		if got, want := outcome(kept[1], nil), `[{"_placeholder":true,"num":0} {"_placeholder":true,"num":1}] [62626262 63636363]`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	})
}
