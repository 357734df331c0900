// Load is the clients of one server: over WebSocket or polling, they join "/",
// answer pings, and count the events they get. They read nothing of an event
// but its time.
//
// It takes commands on its standard input, one a line, and answers each with
// one line of JSON, an object of numbers:
//
//	connect 2000   connects so many more clients, and waits until each is in or 10 s are over
//	expect 100     begins to count: each client should get so many events
//	wait 10s       waits until all are there, or nothing has come for so long
//	open           counts the clients that still have their connection
//
// and, if the clients have tokens,
//
//	cut            ends all connections without a word
//	hear 50 60s    has those come back that are away, with pid and offset, and waits until each
//	               client has heard 50 events of donations in all, or a minute is over
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"log"
	"os"
	"strconv"
	"strings"
	"time"
)

// joinTimeout is how long a client waits for the answer to its CONNECT.
const joinTimeout = 10 * time.Second

// A crowd is a number of clients. One goroutine commands it.
type crowd interface {
	// connect adds n clients and returns how many got in.
	connect(n int) int
	// counts returns what each open client has received since the last call.
	counts() []int
}

func main() {
	addr := flag.String("addr", "", "address of the server")
	transport := flag.String("transport", "websocket", "websocket or polling")
	tokenFile := flag.String("tokens", "", "file of tokens, one a line, of which each client over WebSocket shows one in turn")
	flag.Parse()
	tokens, err := readTokens(*tokenFile)
	if err != nil {
		log.Fatal(err)
	}
	t := new(tally)
	var c crowd
	switch *transport {
	case "websocket":
		c, err = newSockets(*addr, tokens, t)
	case "polling":
		c = newPollers(*addr, t)
	default:
		err = fmt.Errorf("no transport %q", *transport)
	}
	if err != nil {
		log.Fatal(err)
	}
	answer := json.NewEncoder(os.Stdout)
	commands := bufio.NewScanner(os.Stdin)
	for s := (session{crowd: c, tally: t}); commands.Scan(); {
		reply, err := s.do(commands.Text())
		if err != nil {
			log.Fatalf("%s: %v", commands.Text(), err)
		}
		if err := answer.Encode(reply); err != nil {
			log.Fatal(err)
		}
	}
}

// readTokens reads a file of tokens; no name is no tokens.
func readTokens(name string) ([]string, error) {
	if name == "" {
		return nil, nil
	}
	text, err := os.ReadFile(name)
	return strings.Fields(string(text)), err
}

// A session is what the commands so far have left.
type session struct {
	crowd    crowd
	tally    *tally
	clients  int // that got in
	expected int // events for each of them
}

func (s *session) do(command string) (map[string]float64, error) {
	name, arg, _ := strings.Cut(command, " ")
	switch name {
	case "connect":
		n, err := strconv.Atoi(arg)
		if err != nil {
			return nil, err
		}
		in := s.crowd.connect(n)
		s.clients += in
		return map[string]float64{"in": float64(in), "lost": float64(n - in)}, nil
	case "expect":
		n, err := strconv.Atoi(arg)
		if err != nil {
			return nil, err
		}
		s.crowd.counts()
		s.expected = n
		s.tally.start(n * s.clients)
		return map[string]float64{}, nil
	case "wait":
		d, err := time.ParseDuration(arg)
		if err != nil {
			return nil, err
		}
		return s.wait(d), nil
	case "cut", "hear":
		return s.comeBack(name, arg)
	case "open":
		return map[string]float64{"open": float64(len(s.crowd.counts()))}, nil
	}
	return nil, fmt.Errorf("no such command")
}

// comeBack does what only clients with tokens do.
func (s *session) comeBack(name, arg string) (map[string]float64, error) {
	c, ok := s.crowd.(*sockets)
	if !ok {
		return nil, fmt.Errorf("not over this transport")
	}
	if name == "cut" {
		c.cut()
		return map[string]float64{}, nil
	}
	var target int
	var most string
	if _, err := fmt.Sscan(arg, &target, &most); err != nil {
		return nil, err
	}
	d, err := time.ParseDuration(most)
	if err != nil {
		return nil, err
	}
	return c.hearAll(target, d), nil
}

// wait tells what came, and what should have come and did not. An event that
// came twice makes up for none that is missing, and a client that was cut off
// misses all.
func (s *session) wait(quiet time.Duration) map[string]float64 {
	s.tally.wait(quiet)
	missing, extra := s.expected*s.clients, 0
	open := s.crowd.counts()
	for _, got := range open {
		missing -= min(got, s.expected)
		extra += max(got-s.expected, 0)
	}
	r := s.tally.result()
	r["missing"], r["extra"], r["cut"] = float64(missing), float64(extra), float64(s.clients-len(open))
	return r
}
