package main

import (
	"bytes"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"larder/test/bench/event"
)

// TestFramesInPieces feeds the frames of a server in two pieces, cut at every
// place.
func TestFramesInPieces(t *testing.T) {
	want := []string{"40", strings.Repeat("a", 125), strings.Repeat("b", 126), strings.Repeat("c", 70000), ""}
	var wire []byte
	for _, p := range want {
		wire = append(wire, ws.MustCompileFrame(ws.NewTextFrame([]byte(p)))...)
	}
	for cut := range wire {
		if cut > 1000 && cut < len(wire)-1000 {
			continue
		}
		var got []string
		rest := wire[:cut:cut]
		for range 2 {
			for {
				op, payload, more, ok := nextFrame(rest)
				if !ok {
					break
				}
				if op != opText {
					t.Fatalf("cut at %d: opcode %d", cut, op)
				}
				got = append(got, string(payload))
				rest = more
			}
			rest = append(bytes.Clone(rest), wire[cut:]...)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("cut at %d: got %d frames, want %d", cut, len(got), len(want))
		}
	}
}

func TestQuantile(t *testing.T) {
	hundred := make([]time.Duration, 100)
	for i := range hundred {
		hundred[i] = time.Duration(i + 1)
	}
	for q, want := range map[float64]time.Duration{0.5: 50, 0.99: 99, 1: 100} {
		if got := quantile(hundred, q); got != want {
			t.Errorf("quantile %v of 1 to 100: got %d, want %d", q, got, want)
		}
	}
	if got := quantile([]time.Duration{7}, 0.5); got != 7 {
		t.Errorf("quantile of one: got %d, want 7", got)
	}
}

// TestMissingAndExtra has a server that answers the first client only, and
// sends each of the others another number of events.
func TestMissingAndExtra(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	begin := make(chan struct{}) // the events
	go func() {
		for i := 0; ; i++ {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				if err := serveEvents(c, i, begin); err != nil {
					t.Errorf("client %d: %v", i, err)
				}
			}()
		}
	}()
	tally := new(tally)
	crowd, err := newSockets(l.Addr().String(), nil, tally)
	if err != nil {
		t.Fatal(err)
	}
	s := session{crowd: crowd, tally: tally}
	for _, step := range []struct {
		command string
		want    map[string]float64
	}{
		{"connect 4", map[string]float64{"in": 3, "lost": 1}},
		{"expect 3", nil},
		{"wait 5s", map[string]float64{"delivered": 9, "missing": 2, "extra": 2, "cut": 0}},
		{"open", map[string]float64{"open": 3}},
	} {
		if strings.HasPrefix(step.command, "wait") {
			close(begin)
		}
		got, err := s.do(step.command)
		if err != nil {
			t.Fatalf("%s: %v", step.command, err)
		}
		for figure, want := range step.want {
			if got[figure] != want {
				t.Errorf("%s: got %v, want %s %v", step.command, got, figure, want)
			}
		}
	}
}

// serveEvents serves client i: it refuses the first, and sends the others,
// after a ping, 1, 3 and 5 events.
func serveEvents(c net.Conn, i int, begin <-chan struct{}) error {
	if i == 0 {
		return c.Close()
	}
	if _, err := ws.Upgrade(c); err != nil {
		return err
	}
	for _, exchange := range [][2]string{{`0{"sid":"a"}`, "40"}, {`40{"sid":"b"}`, ""}, {"2", "3"}} {
		if err := wsutil.WriteServerText(c, []byte(exchange[0])); err != nil {
			return err
		}
		if exchange[1] == "" {
			continue
		}
		if got, err := wsutil.ReadClientText(c); err != nil || string(got) != exchange[1] {
			return fmt.Errorf("got %q, %w, want %q", got, err, exchange[1])
		}
	}
	<-begin
	for range 2*i - 1 {
		packet := fmt.Sprintf("42[%q,%s]", event.Name, event.JSON(event.Now()))
		if err := wsutil.WriteServerText(c, []byte(packet)); err != nil {
			return err
		}
	}
	return nil
}
