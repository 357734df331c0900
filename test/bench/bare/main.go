// Bare is what a broadcast costs without a protocol: WebSockets of gobwas/ws on
// bare connections, an answer to the handshakes that is always the same, and
// frames that are made once. It sends no heartbeats.
//
// By default each connection has a bounded queue, and a goroutine that writes
// frame by frame while there is something in it. With -loop the goroutine that
// emits writes to one connection after the other: write(2) and nothing else.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"

	"larder/test/bench/control"
	"larder/test/bench/event"
)

// maxQueue is how many frames may wait for one connection, which is closed
// when it does not keep up.
const maxQueue = 256

func main() {
	loop := flag.Bool("loop", false, "write in the goroutine that emits")
	flag.Parse()
	h := &hub{conns: make(map[*conn]struct{})}
	log.Fatal(control.Run(h.serve, func(at time.Duration) {
		frame := text(fmt.Sprintf(`42[%q,%s]`, event.Name, event.JSON(at)))
		for _, c := range h.all() {
			if *loop {
				_, _ = c.Write(frame) // a client that is gone
			} else {
				c.send(frame)
			}
		}
	}))
}

// text is the frame of a text message.
func text(packet string) []byte {
	return ws.MustCompileFrame(ws.NewTextFrame([]byte(packet)))
}

var (
	openPacket = text(`0{"sid":"bare","upgrades":[],"pingInterval":25000,"pingTimeout":20000,"maxPayload":1000000}`)
	connected  = text(`40{"sid":"bare"}`)
)

// A hub knows the connections.
type hub struct {
	mu    sync.Mutex
	conns map[*conn]struct{}
	list  []*conn // the same, made anew after a change
}

func (h *hub) all() []*conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.list == nil {
		h.list = make([]*conn, 0, len(h.conns))
		for c := range h.conns {
			h.list = append(h.list, c)
		}
	}
	return slices.Clip(h.list)
}

func (h *hub) put(c *conn, there bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.list = nil
	if there {
		h.conns[c] = struct{}{}
	} else {
		delete(h.conns, c)
	}
}

func (h *hub) serve(l net.Listener) error {
	for {
		nc, err := l.Accept()
		if err != nil {
			return err
		}
		go h.accept(&conn{Conn: nc})
	}
}

// accept does both handshakes. The reader that follows is a goroutine of its
// own: its stack has not grown.
func (h *hub) accept(c *conn) {
	if err := handshake(c); err != nil {
		log.Print(err)
		_ = c.Close()
		return
	}
	h.put(c, true)
	if _, err := c.Write(connected); err != nil {
		log.Print(err)
	}
	go func() {
		defer h.put(c, false)
		defer func() { _ = c.Close() }()
		c.discard()
	}()
}

func handshake(c *conn) error {
	if _, err := ws.Upgrade(c); err != nil {
		return err
	}
	if _, err := c.Write(openPacket); err != nil {
		return err
	}
	packet, err := wsutil.ReadClientText(c)
	if err == nil && string(packet) != "40" {
		err = fmt.Errorf("got %q, want 40", packet)
	}
	return err
}

type conn struct {
	net.Conn
	mu      sync.Mutex
	queue   [][]byte
	writing bool
}

// discard reads until the connection ends.
func (c *conn) discard() {
	buf := make([]byte, 64)
	for {
		if _, err := c.Read(buf); err != nil {
			return
		}
	}
}

// send queues a frame.
func (c *conn) send(frame []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == maxQueue {
		_ = c.Close()
		return
	}
	c.queue = append(c.queue, frame)
	if !c.writing {
		c.writing = true
		go c.flush()
	}
}

func (c *conn) flush() {
	for {
		c.mu.Lock()
		frames := c.queue
		c.queue = nil
		c.writing = len(frames) > 0
		c.mu.Unlock()
		if len(frames) == 0 {
			return
		}
		for _, f := range frames {
			if _, err := c.Write(f); err != nil {
				_ = c.Close()
			}
		}
	}
}
