package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync"
	"time"
)

// rushes are for a donation of its own each.
const rushes = 10

// claimer is an NGO with a connection of its own.
type claimer struct {
	token  string
	client *http.Client
}

// measureRush prints how long NGOs wait for an answer that all claim one donation of
// `larder serve` at the same moment, and how many got it.
func measureRush(p *plan, dir string) error {
	s := &product{program: p.larder, dir: filepath.Join(dir, "rush"), env: []string{
		"SUPER_ADMIN_EMAIL=admin@example.org", "SUPER_ADMIN_PASSWORD=a long password",
	}}
	if err := s.prepare(); err != nil {
		return err
	}
	server, err := s.serve()
	if err != nil {
		return err
	}
	defer server.stop()
	donor, err := s.register("donor", "DONOR")
	if err != nil {
		return err
	}
	claimers, err := s.claimers(p.product)
	if err != nil {
		return err
	}
	fmt.Printf("%d NGOs claim one donation of `larder serve` at the same moment, %d times, %s: milliseconds until the answer\n\n", p.product, rushes, runtime.Version())
	fmt.Println("| round | winners | came too late | other answers | p50 | p99 | last |\n| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
	for round := range rushes {
		id, err := s.donate(donor, 1)
		if err != nil {
			return err
		}
		won, late, took := s.rush(claimers, id)
		slices.Sort(took)
		at := func(share float64) float64 {
			return float64(took[int(share*float64(len(took)-1))].Microseconds()) / 1000
		}
		fmt.Fprintf(os.Stdout, "| %d | %d | %d | %d | %.0f | %.0f | %.0f |\n", round+1, won, late, len(took)-won-late, at(0.5), at(0.99), at(1))
	}
	return nil
}

// claimers registers NGOs, has an admin verify them, and opens a connection for each.
func (s *product) claimers(n int) ([]claimer, error) {
	var admin struct{ Data struct{ Token string } }
	if err := s.post("/auth/login", "", map[string]any{"email": "admin@example.org", "password": "a long password"}, &admin); err != nil {
		return nil, err
	}
	list, errs := make([]claimer, n), make([]error, n)
	gate := make(chan struct{}, runtime.NumCPU())
	var all sync.WaitGroup
	for i := range list {
		all.Go(func() {
			gate <- struct{}{}
			defer func() { <-gate }()
			list[i], errs[i] = s.claimer(fmt.Sprintf("ngo%d", i), admin.Data.Token)
		})
	}
	all.Wait()
	for _, err := range errs {
		if err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (s *product) claimer(name, admin string) (c claimer, err error) {
	var answer struct {
		Data struct {
			Token string
			User  struct{ ID string }
		}
	}
	if err := s.post("/auth/register", "", map[string]any{
		"email": name + "@example.org", "name": name, "role": "NGO", "password": "a long password", "organizationName": name,
	}, &answer); err != nil {
		return c, err
	}
	c = claimer{token: answer.Data.Token, client: &http.Client{Transport: &http.Transport{}}}
	// On the connection that the claim will come on.
	if code, _, err := c.patch("http://"+s.addr()+"/admin/verify/"+answer.Data.User.ID, admin); err != nil || code != http.StatusOK {
		return c, fmt.Errorf("verify %s: %d, %w", name, code, err)
	}
	return c, nil
}

// patch sends an empty command and returns the status of the answer, and the code of
// a refusal.
func (c claimer) patch(url, token string) (status int, code string, err error) {
	req, err := http.NewRequest(http.MethodPatch, url, bytes.NewReader([]byte("{}")))
	if err != nil {
		return 0, "", err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := c.client.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = res.Body.Close() }()
	var body struct{ Code string }
	err = json.NewDecoder(res.Body).Decode(&body)
	_, _ = io.Copy(io.Discard, res.Body) // to keep the connection
	return res.StatusCode, body.Code, err
}

// rush has all claim the donation at once. It returns how many got it, how many were
// told that they came too late, and how long each waited from the moment at which
// all began.
func (s *product) rush(claimers []claimer, id string) (won, late int, took []time.Duration) {
	took = make([]time.Duration, len(claimers))
	var mu sync.Mutex
	var all sync.WaitGroup
	begin := make(chan struct{})
	var began time.Time
	for i, c := range claimers {
		all.Go(func() {
			<-begin
			status, code, err := c.patch("http://"+s.addr()+"/donations/"+id+"/claim", c.token)
			took[i] = time.Since(began)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil && status == http.StatusOK:
				won++
			case err == nil && code == "donation_not_available":
				late++
			}
		})
	}
	began = time.Now()
	close(begin)
	all.Wait()
	return won, late, took
}
