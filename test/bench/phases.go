package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log"
	"time"
)

// A sample is one number that was measured.
type sample struct {
	Phase  string  `json:"phase"`
	Server string  `json:"server"`
	Round  int     `json:"round"`
	Figure string  `json:"figure"`
	Value  float64 `json:"value"`
}

// A bench is one run.
type bench struct {
	*plan
	programs string    // folder of what was built
	raw      io.Writer // nil: nobody wants the raw numbers
	samples  []sample
}

// An entry is where the samples of one phase, server and round go.
type entry struct {
	bench *bench
	sample
}

func (e entry) add(figure string, value float64) error {
	s := e.sample
	s.Figure, s.Value = figure, value
	e.bench.samples = append(e.bench.samples, s)
	if e.bench.raw == nil {
		return nil
	}
	return json.NewEncoder(e.bench.raw).Encode(s)
}

// The phases.
const (
	idlePhase  = "idle"
	burstPhase = "burst"
	pacedPhase = "paced"
	manyPhase  = "many"
	pollsPhase = "polls"
)

// measure runs all phases. Rounds are interleaved: what disturbs the machine
// for a while disturbs all servers, and each round begins with another one.
func (b *bench) measure() error {
	if len(b.idle) > 0 {
		if err := b.eachServer(1, idlePhase, b.measureIdle); err != nil {
			return err
		}
	}
	if b.conns > 0 {
		if err := b.eachServer(b.rounds, "broadcasts", b.measureBroadcasts); err != nil {
			return err
		}
	}
	if b.many > 0 {
		if err := b.eachServer(1, manyPhase, b.measureMany); err != nil {
			return err
		}
	}
	if b.polls > 0 {
		return b.eachServer(b.rounds, pollsPhase, b.measurePolls)
	}
	return nil
}

func (b *bench) eachServer(rounds int, phase string, measure func(s server, round int) error) error {
	for round := range rounds {
		for i := range b.servers {
			s := b.servers[(i+round)%len(b.servers)]
			if !s.takesPart(phase) {
				continue
			}
			log.Printf("%s, round %d of %d: %s", phase, round+1, rounds, s.title)
			if err := measure(s, round+1); err != nil {
				return fmt.Errorf("%s: %s: %w", phase, s.name, err)
			}
		}
	}
	return nil
}

func (b *bench) entry(phase string, s server, round int) entry {
	return entry{b, sample{Phase: phase, Server: s.name, Round: round}}
}

// measureIdle reads the memory of connections that do nothing, and what it
// costs to open them.
func (b *bench) measureIdle(s server, round int) error {
	r, err := b.rig(s, "websocket")
	if err != nil {
		return err
	}
	defer r.stop()
	return b.fill(r, b.entry(idlePhase, s, round), b.idle)
}

// fill connects up to each of the levels, and reads the memory at once and
// after some idleness.
func (b *bench) fill(r *rig, e entry, levels []int) error {
	base, err := r.server.resident()
	if err != nil {
		return err
	}
	var in, lost float64
	var spent time.Duration
	for _, level := range levels {
		before, err := r.server.cpu()
		if err != nil {
			return err
		}
		joined, err := r.connect(level - int(in+lost))
		if err != nil {
			return err
		}
		after, err := r.server.cpu()
		if err != nil {
			return err
		}
		in, lost, spent = in+joined["in"], lost+joined["lost"], spent+after-before
		for _, figure := range []string{"KB at once", "KB settled"} {
			kb, err := r.server.resident()
			if err != nil {
				return err
			}
			if err := e.add(fmt.Sprintf("%s, %d", figure, level), (kb-base)/max(in, 1)); err != nil {
				return err
			}
			if figure == "KB at once" {
				time.Sleep(b.settle)
			}
		}
	}
	open, err := r.ask("open")
	if err != nil {
		return err
	}
	for figure, value := range map[string]float64{
		"connect µs": microseconds(spent) / max(in, 1),
		"lost":       lost,
		"cut":        in - open["open"],
	} {
		if err := e.add(figure, value); err != nil {
			return err
		}
	}
	return nil
}

// measureBroadcasts measures events at a pace, and then in a burst.
func (b *bench) measureBroadcasts(s server, round int) error {
	r, err := b.rig(s, "websocket")
	if err != nil {
		return err
	}
	defer r.stop()
	joined, err := r.connect(b.conns)
	if err != nil {
		return err
	}
	paced := b.entry(pacedPhase, s, round)
	if err := paced.add("lost", joined["lost"]); err != nil {
		return err
	}
	idle, err := r.warmBroadcast()
	if err != nil {
		return err
	}
	if err := r.broadcast(paced, b.paced, b.pace, idle); err != nil {
		return err
	}
	time.Sleep(500 * time.Millisecond)
	return r.broadcast(b.entry(burstPhase, s, round), b.burst, 0, idle)
}

// measureMany measures a great number of connections on one server.
func (b *bench) measureMany(s server, round int) error {
	r, err := b.rig(s, "websocket")
	if err != nil {
		return err
	}
	defer r.stop()
	e := b.entry(manyPhase, s, round)
	if err := b.fill(r, e, []int{b.many}); err != nil {
		return err
	}
	idle, err := r.warmBroadcast()
	if err != nil {
		return err
	}
	return r.broadcast(e, b.paced, b.pace, idle)
}

// measurePolls measures events at a pace to clients on long-polling.
func (b *bench) measurePolls(s server, round int) error {
	r, err := b.rig(s, "polling")
	if err != nil {
		return err
	}
	defer r.stop()
	e := b.entry(pollsPhase, s, round)
	joined, err := r.connect(b.polls)
	if err != nil {
		return err
	}
	if err := e.add("lost", joined["lost"]); err != nil {
		return err
	}
	idle, err := r.warmBroadcast()
	if err != nil {
		return err
	}
	return r.broadcast(e, b.paced, b.pace, idle)
}

// connect adds clients.
func (r *rig) connect(n int) (map[string]float64, error) {
	return r.ask(fmt.Sprintf("connect %d", n))
}

// warmBroadcast sends some events that nobody measures, so that nothing that
// follows is the first of its kind, and then returns the part of a processor
// that the server takes when nothing is sent.
func (r *rig) warmBroadcast() (idle float64, err error) {
	const events, watch = 5, 2 * time.Second
	if _, err := r.ask(fmt.Sprintf("expect %d", events)); err != nil {
		return 0, err
	}
	if err := r.emit(events, 50*time.Millisecond); err != nil {
		return 0, err
	}
	if _, err := r.ask("wait " + quiet); err != nil {
		return 0, err
	}
	time.Sleep(time.Second)
	began := time.Now()
	before, err := r.server.cpu()
	if err != nil {
		return 0, err
	}
	time.Sleep(watch)
	after, err := r.server.cpu()
	return float64(after-before) / float64(time.Since(began)), err
}

// quiet is how long nothing has to come before what is missing is given up.
const quiet = "10s"

// broadcast emits n events and waits until every client has got them all. Only
// then it looks at the processor time.
func (r *rig) broadcast(e entry, n int, every time.Duration, idle float64) error {
	if _, err := r.ask(fmt.Sprintf("expect %d", n)); err != nil {
		return err
	}
	began := time.Now()
	server, err := r.server.cpu()
	if err != nil {
		return err
	}
	load, err := r.load.cpu()
	if err != nil {
		return err
	}
	if err := r.emit(n, every); err != nil {
		return err
	}
	got, err := r.ask("wait " + quiet)
	if err != nil {
		return err
	}
	took := time.Since(began)
	serverAfter, err := r.server.cpu()
	if err != nil {
		return err
	}
	loadAfter, err := r.load.cpu()
	if err != nil {
		return err
	}
	spent := serverAfter - server - time.Duration(idle*float64(took))
	delivered := max(got["delivered"], 1)
	got["server µs"] = microseconds(spent) / delivered
	got["client µs"] = microseconds(loadAfter-load) / delivered
	got["idle %"] = 100 * idle
	got["seconds"] = took.Seconds()
	for figure, value := range got {
		if err := e.add(figure, value); err != nil {
			return err
		}
	}
	return nil
}

func microseconds(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
