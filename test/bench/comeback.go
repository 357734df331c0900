package main

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"larder/test/bench/event"
)

// Events of the phase in which clients come back.
const (
	heardBefore = 10 // by all who are connected
	missedAway  = 50 // while nobody is connected, before a kill
	missedAfter = 20 // when the new process is ready, while clients come back
)

// measureComeBack prints how long the clients of `larder serve` take to hear all
// that they missed, from the start of the process that follows one that was
// stopped, or killed.
func measureComeBack(p *plan, dir string) error {
	fmt.Printf("\n%d clients come back with pid and offset, at most 128 at once; seconds\n\n", p.product)
	fmt.Println("| end | stop took | ready after start | all heard after start | came | recovered | complete | heard twice |\n" +
		"| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	for _, how := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		for round := range p.rounds {
			if err := comeBack(p, dir, how, round); err != nil {
				return fmt.Errorf("%v: %w", how, err)
			}
		}
	}
	return nil
}

func comeBack(p *plan, dir string, how syscall.Signal, round int) error {
	s := &product{program: p.larder, dir: filepath.Join(dir, fmt.Sprintf("back-%d-%d", how, round)), accounts: p.accounts[len(p.accounts)-1]}
	r := new(rig)
	defer r.stop()
	donor, err := s.fill(r, p, dir)
	if err != nil {
		return err
	}
	total := heardBefore
	if _, err := s.donate(donor, heardBefore); err != nil {
		return err
	}
	if got, err := r.ask(fmt.Sprintf("hear %d 30s", total)); err != nil {
		return err
	} else if int(got["complete"]) != p.product {
		return fmt.Errorf("only %.0f clients heard what happened when they were there", got["complete"])
	}
	if how == syscall.SIGKILL {
		if _, err := r.ask("cut"); err != nil {
			return err
		}
		if _, err := s.donate(donor, missedAway); err != nil {
			return err
		}
		total += missedAway
	}
	stopping := event.Now()
	if err := r.server.end(how); err != nil {
		return err
	}
	starting := event.Now()
	if r.server, err = s.serve(); err != nil {
		return err
	}
	ready := event.Now()
	total += missedAfter
	donated := make(chan error, 1)
	go func() {
		_, err := s.donate(donor, missedAfter)
		donated <- err
	}()
	got, err := r.ask(fmt.Sprintf("hear %d 60s", total))
	if err != nil {
		return err
	}
	if err := <-donated; err != nil {
		return err
	}
	fmt.Fprintf(os.Stdout, "| %v | %.2f | %.2f | %.2f | %.0f | %.0f | %.0f | %.0f |\n", how, (starting - stopping).Seconds(), (ready - starting).Seconds(),
		(time.Duration(got["last"]) - starting).Seconds(), got["came"], got["recovered"], got["complete"], got["repeated"]+got["extra"])
	return nil
}

// donate lists donations, of which each is an event that everybody hears, and
// returns the id of the last.
func (s *product) donate(token string, n int) (id string, err error) {
	for i := range n {
		if id, err = s.donateAs(token, fmt.Sprintf("Bread %d", i)); err != nil {
			return "", err
		}
	}
	return id, nil
}

func (s *product) donateAs(token, name string) (id string, err error) {
	var answer struct{ ID string }
	err = s.post("/donations", token, map[string]any{
		"name": name, "foodType": "Bakery", "quantity": 12.5, "unit": "kg", "latitude": 52.52, "longitude": 13.405,
		"expiryTime": time.Now().Add(6 * time.Hour).UTC().Format(time.RFC3339Nano),
	}, &answer)
	return answer.ID, err
}
