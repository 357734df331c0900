package verify

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"net/http"
	"slices"
	"sync"
	"time"

	"larder/api"
	"larder/client"
)

const (
	writers    = 24                // that give commands at the same time
	longShort  = 8 * time.Second   // the longest life of a donation that is to expire in the run
	tryTimeout = 10 * time.Second  // of one try of a command
	endless    = 1 << 30           // tries of a command: it is repeated until it is answered
	stillOpen  = 100 * time.Second // for answers after the last command was given
)

// lot is a donation as the writers know it from their answers.
type lot struct {
	id      string
	donor   *person
	status  string
	claimer *person
	carrier *person
}

// crew gives commands.
type crew struct {
	tally  *tally
	donors []*person
	ngos   []*person
	carry  []*person

	bystanders []*person // give no commands

	centres []View        // donations lie around here
	target  int           // live donations to aim at
	short   time.Duration // the longest life of a donation that is to expire

	mu       sync.Mutex // guards the fields below
	random   *mathrand.Rand
	lots     []*lot
	commands []Command
	lastDue  time.Time // when the clock has the last thing to do for the run
}

// counted counts how often requests that change something are sent.
type counted struct {
	next  http.RoundTripper
	tally *tally
}

func (c counted) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method != http.MethodGet {
		c.tally.tried()
	}
	return c.next.RoundTrip(r)
}

// newClient returns a client that repeats a command until it is answered.
func (s *site) newClient(token string, t *tally) (*client.Client, error) {
	return client.New(client.Config{
		BaseURL: s.base.String(), Token: token, Dial: s.dial, Tries: endless,
		HTTPClient: &http.Client{Timeout: tryTimeout, Transport: counted{s.http.Transport, t}},
	})
}

// work gives commands, rate of them a second, until stop ends. ctx is for the
// commands that are under way then.
func (c *crew) work(ctx context.Context, stop <-chan struct{}, rate int) {
	tick := time.NewTicker(time.Second / time.Duration(rate))
	defer tick.Stop()
	var wait sync.WaitGroup
	defer wait.Wait()
	turns := make(chan struct{})
	defer close(turns)
	for range writers {
		wait.Go(func() {
			for range turns {
				c.act(ctx)
			}
		})
	}
	for {
		select {
		case <-stop:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		select {
		case turns <- struct{}{}:
		case <-stop:
			return
		case <-ctx.Done():
			return
		}
	}
}

// draw takes a whole number below n.
func (c *crew) draw(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.random.IntN(n)
}

func anyOf[T any](c *crew, list []T) T { return list[c.draw(len(list))] }

// pick takes a donation that somebody may do something with, or none.
func (c *crew) pick() (l *lot, status string, live int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	live = len(c.lots)
	if live == 0 {
		return nil, "", 0
	}
	l = c.lots[c.random.IntN(live)]
	return l, l.status, live
}

// act does one thing that is likely now. Some of what it tries is not allowed.
func (c *crew) act(ctx context.Context) {
	l, status, live := c.pick()
	if l == nil || c.draw(100) < 20+60*max(0, c.target-live)/c.target {
		c.create(ctx)
		return
	}
	dice := c.draw(100)
	switch status {
	case "AVAILABLE":
		switch {
		case dice < 75:
			c.contend(ctx, l)
		case dice < 90:
			c.order(ctx, l.donor, actCancel, l)
		default:
			c.order(ctx, anyOf(c, c.ngos), actRelease, l)
		}
	case "CLAIMED":
		switch {
		case dice < 45:
			c.order(ctx, anyOf(c, c.carry), actPickUp, l)
		case dice < 55: // two carriers at once
			c.together(func(i int) { c.order(ctx, c.carry[i%len(c.carry)], actPickUp, l) }, 2)
		case dice < 65:
			c.order(ctx, l.claimer, actPickUp, l)
		case dice < 82:
			c.order(ctx, l.claimer, actRelease, l)
		case dice < 90:
			c.order(ctx, l.donor, actCancel, l)
		default:
			c.contend(ctx, l)
		}
	case "PICKED_UP":
		switch {
		case dice < 80:
			c.order(ctx, l.carrier, actDeliver, l)
		case dice < 90: // the same delivery twice is one
			c.together(func(int) { c.order(ctx, l.carrier, actDeliver, l) }, 2)
		default:
			c.order(ctx, l.donor, actCancel, l)
		}
	}
}

// together does something n times at once.
func (c *crew) together(do func(i int), n int) {
	var wait sync.WaitGroup
	for i := range n {
		wait.Go(func() { do(i) })
	}
	wait.Wait()
}

// contend lets several NGOs claim the same donation at once.
func (c *crew) contend(ctx context.Context, l *lot) {
	n, first := 1+c.draw(len(c.ngos)), c.draw(len(c.ngos))
	c.together(func(i int) { c.order(ctx, c.ngos[(first+i)%len(c.ngos)], actClaim, l) }, min(n, 4))
}

// twin says whether a command is to be sent twice at once under one key.
func (c *crew) twin() bool { return c.draw(100) < 4 }

// run sends a command until it is answered and keeps the answer.
func (c *crew) run(ctx context.Context, cmd Command, send func(ctx context.Context) (api.Donation, error)) api.Donation {
	cmd.Key = rand.Text()
	ctx = client.WithIdempotencyKey(ctx, cmd.Key)
	if !c.twin() {
		return c.once(ctx, cmd, send)
	}
	var got [2]api.Donation
	c.together(func(i int) { got[i] = c.once(ctx, cmd, send) }, 2)
	return got[0]
}

// ordinary are the refusals that a writer who tries has to live with.
var ordinary = []api.Code{
	api.CodeInvalidTransition, api.CodeNotAvailable, api.CodeExpired, api.CodeOverCapacity, api.CodeUnitMismatch, api.CodeNotYours,
}

func (c *crew) once(ctx context.Context, cmd Command, send func(ctx context.Context) (api.Donation, error)) api.Donation {
	d, err := send(ctx)
	refusal, ok := errors.AsType[*api.Error](err)
	switch {
	case err == nil && d.ID != "" && (cmd.Donation == "" || cmd.Donation == d.ID):
		cmd.Donation, cmd.Version = d.ID, d.Version
	case err == nil:
		cmd.Trouble = "the answer is about another donation: " + d.ID
	case ok && slices.Contains(ordinary, refusal.Code), ok && cmd.Action == actCreate && refusal.Code == api.CodeValidation:
		// A short life may be over before the command has got through.
		cmd.Refusal = string(refusal.Code)
	default:
		cmd.Trouble = err.Error()
	}
	c.mu.Lock()
	c.commands = append(c.commands, cmd)
	c.mu.Unlock()
	c.tally.answered(cmd.Refusal != "")
	return d
}

// create lists a donation. One in eight lives for a few seconds only, and of one in
// eight it is announced after as many that it expires in an hour.
func (c *crew) create(ctx context.Context) {
	due := time.Now().Add(c.short/4 + time.Duration(c.draw(int(c.short*3/4/time.Millisecond)))*time.Millisecond)
	expiry := time.Now().Add(24 * time.Hour)
	switch c.draw(8) {
	case 0:
		expiry = due
	case 1:
		expiry = due.Add(nearExpiryLead)
	default:
		due = time.Time{}
	}
	at := anyOf(c, c.centres)
	c.offer(ctx, anyOf(c, c.donors), api.DonationDraft{
		Name: "Food of a check", FoodType: anyOf(c, []string{"Bread", "Fruit", "Vegetables"}), Unit: anyOf(c, []string{"kg", "kg", "pieces"}),
		Quantity: api.Quantity(float64(1+c.draw(200)) / 10), Latitude: at.Lat + float64(c.draw(400)-200)/10_000,
		Longitude: at.Lng + float64(c.draw(400)-200)/10_000, ExpiryTime: expiry.UTC().Format(time.RFC3339Nano),
	})
	c.mu.Lock()
	defer c.mu.Unlock()
	if due.After(c.lastDue) {
		c.lastDue = due
	}
}

func (c *crew) offer(ctx context.Context, by *person, draft api.DonationDraft) api.Donation {
	d := c.run(ctx, Command{By: by.id, Action: actCreate}, func(ctx context.Context) (api.Donation, error) {
		return by.client.CreateDonation(ctx, draft)
	})
	if d.ID != "" {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.lots = append(c.lots, &lot{id: d.ID, donor: by, status: d.Status})
	}
	return d
}

// order gives a command on a donation and learns from the answer. Of what others
// did meanwhile it learns by being refused.
func (c *crew) order(ctx context.Context, by *person, action string, l *lot) {
	if by == nil {
		return
	}
	d := c.run(ctx, Command{By: by.id, Action: action, Donation: l.id}, func(ctx context.Context) (d api.Donation, err error) {
		switch action {
		case actClaim:
			return by.client.Claim(ctx, l.id, api.ClaimRequest{})
		case actRelease:
			return by.client.Release(ctx, l.id, "no room")
		case actPickUp:
			return by.client.PickUp(ctx, l.id)
		case actCancel:
			return by.client.Cancel(ctx, l.id, "a check")
		case actDeliver:
			done, err := by.client.Deliver(ctx, l.id)
			return done.Donation, err
		}
		return d, fmt.Errorf("no action %q", action)
	})
	if d.ID == "" { // refused: somebody was faster, or it is over
		c.look(ctx, by, l)
		return
	}
	c.learn(l, d)
}

func (c *crew) look(ctx context.Context, by *person, l *lot) {
	if d, err := by.client.Donation(ctx, l.id); err == nil {
		c.learn(l, d)
	}
}

func (c *crew) learn(l *lot, d api.Donation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	l.status, l.claimer, l.carrier = d.Status, c.find(d.ClaimedByID), c.find(d.PickedUpBy)
	if ended(d.Status) {
		if i := slices.Index(c.lots, l); i >= 0 {
			c.lots = slices.Delete(c.lots, i, i+1)
		}
	}
}

func (c *crew) find(id *string) *person {
	for _, p := range slices.Concat(c.donors, c.ngos, c.carry) {
		if id != nil && p.id == *id {
			return p
		}
	}
	return nil
}

// given are the commands so far.
func (c *crew) given() []Command {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.commands)
}
