package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"larder/test/bench/event"
)

// Donations whose way is measured, after some that nobody counts.
const (
	heardWarm  = 50
	heardCount = 1000
	heardPace  = 20 * time.Millisecond // between two of them
)

// measureHeard prints how long it takes from the moment at which a donation is
// posted to `larder serve` until its event is at each client.
func measureHeard(p *plan, dir string) error {
	fmt.Printf("\n%d clients of `larder serve` hear %d donations, one each %v, %s: milliseconds from the POST to the event\n\n", p.product, heardCount, heardPace, runtime.Version())
	fmt.Println("| round | heard | missing | p50 | p99 | last |\n| ---: | ---: | ---: | ---: | ---: | ---: |")
	for round := range p.rounds {
		if err := hearRound(p, dir, round+1); err != nil {
			return err
		}
	}
	return nil
}

func hearRound(p *plan, dir string, round int) error {
	s := &product{program: p.larder, dir: filepath.Join(dir, fmt.Sprintf("heard-%d", round)), accounts: p.accounts[len(p.accounts)-1]}
	r := new(rig)
	defer r.stop()
	donor, err := s.fill(r, p, dir)
	if err != nil {
		return err
	}
	var got map[string]float64
	for _, n := range []int{heardWarm, heardCount} {
		if _, err := r.ask(fmt.Sprintf("expect %d", n)); err != nil {
			return err
		}
		if err := s.donateInTime(donor, n); err != nil {
			return err
		}
		if got, err = r.ask("wait " + quiet); err != nil {
			return err
		}
	}
	fmt.Printf("| %d | %.0f | %.0f | %.1f | %.1f | %.1f |\n", round, got["delivered"], got["missing"], got["p50"], got["p99"], got["max"])
	return nil
}

// donateInTime posts donations when they are due, whether or not those before have
// been answered. Each tells when it was due.
func (s *product) donateInTime(token string, n int) error {
	errs := make([]error, n)
	var all sync.WaitGroup
	began := event.Now()
	for i := range n {
		due := began + time.Duration(i)*heardPace
		time.Sleep(due - event.Now())
		all.Go(func() { _, errs[i] = s.donateAs(token, event.Text(due)) })
	}
	all.Wait()
	return errors.Join(errs...)
}
