package socketio_test

import (
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"larder/engineio"
	"larder/socketio"
)

// Every socket is told its own turn, those of one connection the same, and each
// connection ends when that has come (E-65).
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var left record
		h := serve(t, socketio.Config{Logger: slog.New(slog.DiscardHandler)}, func(s *socketio.Server) {
			for _, name := range []string{"/", "/donations"} {
				s.Of(name).OnDisconnect(func(_ *socketio.Socket, reason engineio.Reason) {
					if reason != engineio.ReasonShutdown {
						left.add("%s: %s", name, reason)
					}
				})
			}
		})
		const n = 50
		var clients sync.WaitGroup
		var mu sync.Mutex
		turns := map[string]int{} // as the clients were told
		start := time.Now()
		for i := range n {
			open := (*host).websocket
			if i%2 == 0 {
				open = (*host).polling
			}
			p := open(h)
			p.connect("/", "")
			p.connect("/donations", "")
			clients.Go(func() {
				var told [2]int
				var names [2]string
				for k := range told {
					names[k], told[k] = drainText(t, p)
				}
				if names[0] == names[1] || told[0] != told[1] {
					t.Errorf("told %v on %v", told, names)
				}
				p.expectClosedLater()
				if at := time.Since(start); at != time.Duration(told[0])*time.Millisecond {
					t.Errorf("told %d ms and sent away after %v", told[0], at)
				}
				p.close()
				mu.Lock()
				defer mu.Unlock()
				turns[fmt.Sprint(told[0])]++
			})
		}
		idle := h.websocket() // has joined nothing, and is sent away all the same
		clients.Go(func() {
			idle.expectClosedLater()
			idle.close()
		})
		synctest.Wait()
		start = time.Now()
		err := h.srv.Drain(t.Context(), time.Minute, func(s *socketio.Socket, in time.Duration) {
			_ = s.Emit(event(t, "going", fmt.Sprint(in.Milliseconds())))
		})
		if took := time.Since(start); err != nil || took != 100*time.Millisecond {
			t.Errorf("Drain: %v after %v", err, took)
		}
		clients.Wait()
		if len(turns) != 3 {
			t.Errorf("turns and their clients: %v", turns)
		}
		if got := left.take(); got != "" {
			t.Errorf("left for another reason: %s", got)
		}
	})
}

// drainText reads the event going, and returns where it came and its argument.
func drainText(t *testing.T, p *peer) (namespace string, in int) {
	text := p.next().text
	if _, err := fmt.Sscanf(text, `2["going",%d]`, &in); err == nil {
		return "/", in
	}
	if _, err := fmt.Sscanf(text, `2/donations,["going",%d]`, &in); err != nil {
		t.Errorf("got %s", text)
	}
	return "/donations", in
}

// Nobody has to be told.
func TestDrainWithoutAWord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := serve(t, socketio.Config{}, func(s *socketio.Server) { s.Of("/") })
		p := h.websocket()
		p.connect("/", "")
		if err := h.srv.Drain(t.Context(), time.Minute, nil); err != nil {
			t.Error(err)
		}
		p.expectClosed()
		p.close()
	})
}
