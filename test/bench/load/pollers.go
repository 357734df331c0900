package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"

	"larder/test/bench/event"
)

// joiningPollers is how many pollers are on their way in at once.
const joiningPollers = 32

// Pollers are clients over long-polling: a goroutine and one connection each,
// on which there is a GET but for the moments of a POST.
type pollers struct {
	addr  string
	tally *tally

	mu  sync.Mutex
	all map[*poller]struct{}
}

type poller struct {
	owner *pollers
	conn  net.Conn
	read  *bufio.Reader
	path  string
	in    bool
	got   int // guarded by owner.mu
}

func newPollers(addr string, t *tally) *pollers {
	return &pollers{addr: addr, tally: t, all: make(map[*poller]struct{})}
}

func (ps *pollers) connect(n int) int {
	in := make(chan bool)
	gate := make(chan struct{}, joiningPollers)
	for range n {
		go func() {
			gate <- struct{}{}
			p, err := ps.join()
			<-gate
			in <- err == nil
			if err == nil {
				err = p.poll()
			}
			log.Print(err)
		}()
	}
	count := 0
	for range n {
		if <-in {
			count++
		}
	}
	return count
}

func (ps *pollers) counts() []int {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	var all []int
	for p := range ps.all {
		all = append(all, p.got)
		p.got = 0
	}
	return all
}

// join opens a session and joins "/".
func (ps *pollers) join() (*poller, error) {
	conn, err := net.DialTimeout("tcp", ps.addr, joinTimeout)
	if err != nil {
		return nil, err
	}
	p := &poller{owner: ps, conn: conn, read: bufio.NewReaderSize(conn, 4096), path: "/socket.io/?EIO=4&transport=polling"}
	if err := p.handshake(); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("join: %w", err)
	}
	ps.mu.Lock()
	defer ps.mu.Unlock()
	ps.all[p] = struct{}{}
	return p, nil
}

func (p *poller) handshake() error {
	if err := p.conn.SetDeadline(time.Now().Add(joinTimeout)); err != nil {
		return err
	}
	body, err := p.do("GET", "")
	if err != nil {
		return err
	}
	var open struct {
		SID string `json:"sid"`
	}
	if err := json.Unmarshal(bytes.TrimPrefix(body, []byte("0")), &open); err != nil {
		return fmt.Errorf("%.60q: %w", body, err)
	}
	p.path += "&sid=" + open.SID
	if _, err := p.do("POST", "40"); err != nil {
		return err
	}
	for !p.in {
		if err := p.get(); err != nil {
			return err
		}
	}
	return p.conn.SetDeadline(time.Time{})
}

// poll polls until the connection ends.
func (p *poller) poll() error {
	for {
		if err := p.get(); err != nil {
			_ = p.conn.Close()
			p.owner.mu.Lock()
			delete(p.owner.all, p)
			p.owner.mu.Unlock()
			return err
		}
	}
}

func (p *poller) get() error {
	body, err := p.do("GET", "")
	if err != nil {
		return err
	}
	now := event.Now()
	for packet := range bytes.SplitSeq(body, []byte{0x1e}) {
		switch {
		case bytes.HasPrefix(packet, []byte("42")):
			if at, ok := event.SentAt(packet); ok {
				p.owner.mu.Lock()
				p.got++
				p.owner.mu.Unlock()
				p.owner.tally.add(now - at)
			}
		case bytes.HasPrefix(packet, []byte("40{")):
			p.in = true
		case string(packet) == "2":
			if _, err := p.do("POST", "3"); err != nil {
				return err
			}
		case string(packet) != "6": // a noop
			return fmt.Errorf("unexpected packet: %.60q", packet)
		}
	}
	return nil
}

// do sends a request and returns the body of the answer.
func (p *poller) do(method, body string) ([]byte, error) {
	head := fmt.Sprintf("%s %s HTTP/1.1\r\nHost: %s\r\n", method, p.path, p.owner.addr)
	if method == "POST" {
		head += fmt.Sprintf("Content-Type: text/plain;charset=UTF-8\r\nContent-Length: %d\r\n", len(body))
	}
	if _, err := io.WriteString(p.conn, head+"\r\n"+body); err != nil {
		return nil, err
	}
	res, err := http.ReadResponse(p.read, nil)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	text, err := io.ReadAll(res.Body)
	if err == nil && res.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s: %.60q", method, res.Status, text)
	}
	return text, err
}
