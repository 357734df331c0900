package main

import (
	"bytes"
	"encoding/json"
	"log"
	"time"

	"larder/test/bench/event"
)

// A visitor is what a client is over several connections: the stock client keeps
// the same to come back as the socket that it was.
type visitor struct {
	token, pid string
	offset     string // of the last event; of one log the later one is the greater text
	heard      int    // events of donations, in all its time
}

// returns is one time of coming back.
type returns struct {
	target int // events that each visitor is to have heard by then, in all its time
	until  time.Duration
	done   chan<- map[string]float64

	came, recovered    int // CONNECTs that were answered, and those of them with the old pid
	repeated, complete int // events that were heard before; visitors that have heard all
	last               time.Duration
}

// visitor makes one, and remembers it.
func (s *sockets) visitor() *visitor {
	who := new(visitor)
	if len(s.tokens) > 0 {
		who.token = s.tokens[len(s.visitors)%len(s.tokens)]
		s.visitors = append(s.visitors, who)
	}
	return who
}

// joinPacket is the CONNECT.
func (v *visitor) joinPacket() string {
	if v.token == "" {
		return "40"
	}
	auth, err := json.Marshal(struct {
		Token  string `json:"token"`
		Pid    string `json:"pid,omitempty"`
		Offset string `json:"offset,omitempty"`
	}{v.token, v.pid, v.offset})
	if err != nil {
		log.Fatal(err)
	}
	return "40" + string(auth)
}

// welcome takes the answer to a CONNECT.
func (s *sockets) welcome(v *visitor, packet []byte) {
	var answer struct{ Pid string }
	if v.token == "" || json.Unmarshal(packet[len("40"):], &answer) != nil {
		return
	}
	if s.returns != nil {
		s.returns.came++
		if v.pid == answer.Pid {
			s.returns.recovered++
		}
	}
	v.pid = answer.Pid
}

// hear takes an event, and reports whether it is one that is counted: of the product
// those of donations are, whose last argument is the offset; of others all.
func (s *sockets) hear(v *visitor, packet []byte) bool {
	if v.token == "" {
		return true
	}
	const end = `"]`
	from := bytes.LastIndex(packet, []byte(`,"`))
	if from < 0 || !bytes.HasSuffix(packet, []byte(end)) {
		return false
	}
	offset := packet[from+len(`,"`) : len(packet)-len(end)]
	counts := bytes.HasPrefix(packet, []byte(`42["donation.`))
	if counts {
		v.heard++
		if r := s.returns; r != nil {
			if string(offset) <= v.offset {
				r.repeated++
			}
			if v.heard == r.target {
				r.complete++
				r.last = event.Now()
			}
		}
	}
	v.offset = string(offset)
	return counts
}

// left has a visitor come back, if that is what they do now.
func (s *sockets) left(v *visitor) {
	if s.returns != nil {
		s.toBegin = append(s.toBegin, v)
	}
}

// cut ends all connections without a word.
func (s *sockets) cut() {
	done := make(chan struct{})
	s.do(func() {
		for _, c := range s.clients {
			s.drop(c)
		}
		close(done)
	})
	<-done
}

// hearAll has all visitors that are away come back, until each has heard so many
// events, or the time is over.
func (s *sockets) hearAll(target int, most time.Duration) map[string]float64 {
	done := make(chan map[string]float64, 1)
	s.do(func() {
		r := &returns{target: target, until: event.Now() + most, done: done}
		here := make(map[*visitor]bool)
		for _, c := range s.clients {
			here[c.who] = true
		}
		for _, v := range s.visitors {
			if !here[v] {
				s.toBegin = append(s.toBegin, v)
			}
			if v.heard >= target {
				r.complete++
			}
		}
		s.returns = r
	})
	return <-done
}

// settle tells hearAll how it went, when it is over.
func (s *sockets) settle() {
	r := s.returns
	if r == nil || r.complete < len(s.visitors) && event.Now() < r.until {
		return
	}
	extra := 0
	for _, v := range s.visitors {
		extra += max(0, v.heard-r.target)
	}
	r.done <- map[string]float64{
		"came": float64(r.came), "recovered": float64(r.recovered), "complete": float64(r.complete),
		"repeated": float64(r.repeated), "extra": float64(extra), "last": float64(r.last),
	}
	s.returns, s.toBegin = nil, nil
}
