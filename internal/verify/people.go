package verify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"larder/api"
	"larder/client"
)

// person is an account of the run.
type person struct {
	role     string
	id       string
	token    string
	fresh    string // another token, if it has one
	email    string
	karma    int // from earlier runs
	capacity *float64
	unit     string
	client   *client.Client

	available bool // for trips
}

// Numbers of accounts. More witnesses share them.
const (
	donorCount = 4
	ngoCount   = 6
	carryCount = 4

	bystanderCount = 3 // give no commands, and are suspended for a while
)

const (
	loginPatience = 90 * time.Second // a server takes 30 sign-ins of one address in a minute
	loginPause    = 5 * time.Second
	pageOfUsers   = 1000
)

// signIn signs the admin in. A server that does not answer is not waited for, and
// who is no admin gets no further.
func (r *run) signIn(ctx context.Context) (s api.Session, err error) {
	c, err := client.New(client.Config{
		BaseURL: r.direct.base.String(), Tries: 1, HTTPClient: &http.Client{Timeout: tryTimeout, Transport: r.direct.http.Transport},
	})
	if err != nil {
		return s, err
	}
	if s, err = r.login(ctx, c, r.Email, r.Password); err != nil {
		return s, fmt.Errorf("sign in at %s: %w", c.BaseURL(), err)
	}
	if s.User.Role != "ADMIN" {
		return s, fmt.Errorf("%s is no admin at %s: a check needs one, to verify its NGOs", r.Email, c.BaseURL())
	}
	return s, nil
}

// login signs in, and waits while the server takes no more of this address.
func (r *run) login(ctx context.Context, c *client.Client, email, password string) (api.Session, error) {
	for deadline := time.Now().Add(loginPatience); ; {
		s, err := c.Login(ctx, email, password)
		e, ok := errors.AsType[*api.Error](err)
		if !ok || e.Code != api.CodeRateLimited || time.Now().After(deadline) {
			return s, err
		}
		r.Say("the server takes no more sign-ins of one address for the moment: waiting")
		if err := sleep(ctx, loginPause); err != nil {
			return s, err
		}
	}
}

// secret is the password of an account of the run. Who knows the admin's password
// can sign in again to the accounts of an earlier run, and nobody else.
func (r *run) secret(email string) string {
	mac := hmac.New(sha256.New, []byte(r.Password))
	mac.Write([]byte("larder verify " + email))
	return base32.StdEncoding.EncodeToString(mac.Sum(nil))[:26]
}

// join registers n accounts, or signs in to those of an earlier run.
func (r *run) join(ctx context.Context, known map[string]api.AdminUser, role, name string, n int) (list []*person, err error) {
	for i := range n {
		p := &person{role: role, email: fmt.Sprintf("%s%s%d@verify.test", r.prefix, name, i+1)}
		if p.client, err = r.direct.newClient("", newTally()); err != nil {
			return nil, err
		}
		var s api.Session
		if u, ok := known[p.email]; !ok {
			s, err = p.client.Register(ctx, api.Registration{
				Email: p.email, Password: r.secret(p.email), Name: fmt.Sprintf("Check %s %d", name, i+1), Role: role,
			})
		} else {
			if !u.IsActive { // a run that was broken off
				_, err = r.admin.ToggleStatus(ctx, u.ID)
			}
			if err == nil {
				s, err = r.login(ctx, p.client, p.email, r.secret(p.email))
			}
		}
		if e, ok := errors.AsType[*api.Error](err); ok && e.Code == api.CodeBadCredentials {
			return nil, fmt.Errorf("%s is of a check with another password of the admin: larder user delete %s lets it be made anew", p.email, p.email)
		}
		if err != nil {
			return nil, fmt.Errorf("sign in as %s: %w", p.email, err)
		}
		p.id, p.token = s.User.ID, s.Token
		list = append(list, p)
	}
	return list, nil
}

// known are the accounts of the server, by e-mail.
func (r *run) known(ctx context.Context) (map[string]api.AdminUser, error) {
	all, at := map[string]api.AdminUser{}, client.Page{Limit: pageOfUsers}
	for {
		list, next, err := r.admin.Users(ctx, at)
		if err != nil {
			return nil, err
		}
		for _, u := range list {
			all[u.Email] = u
		}
		if at.After = next; next == "" {
			return all, nil
		}
	}
}

// gatherCrew makes the accounts and lets the admin verify the NGOs. Two of them take
// only so much in a day. All volunteers but the first are free for trips, and the
// donors have a second token.
func (r *run) gatherCrew(ctx context.Context) error {
	known, err := r.known(ctx)
	if err != nil {
		return fmt.Errorf("look for accounts of an earlier run: %w", err)
	}
	c := r.crew
	for _, group := range []struct {
		list       *[]*person
		role, name string
		n          int
	}{
		{&c.bystanders, "NGO", "bystander", bystanderCount},
		{&c.donors, "DONOR", "donor", donorCount},
		{&c.ngos, "NGO", "ngo", ngoCount},
		{&c.carry, "VOLUNTEER", "volunteer", carryCount},
	} {
		if *group.list, err = r.join(ctx, known, group.role, group.name, group.n); err != nil {
			return err
		}
	}
	for _, p := range c.donors {
		s, err := r.login(ctx, p.client, p.email, r.secret(p.email))
		if err != nil {
			return fmt.Errorf("sign in as %s: %w", p.email, err)
		}
		p.fresh = s.Token
	}
	if err := r.equip(ctx); err != nil {
		return err
	}
	if r.server != nil {
		return nil
	}
	if err := r.endDonations(ctx); err != nil { // of a run that was broken off
		return err
	}
	for _, p := range c.everybody() {
		a, err := p.client.Profile(ctx)
		if err != nil {
			return fmt.Errorf("profile of %s: %w", p.email, err)
		}
		p.karma = a.KarmaPoints
	}
	return nil
}

// equip gives the accounts what they need for their parts.
func (r *run) equip(ctx context.Context) error {
	for i, p := range r.crew.ngos {
		if _, err := r.admin.VerifyNGO(ctx, p.id); err != nil {
			return fmt.Errorf("verify %s: %w", p.email, err)
		}
		if i%3 != 0 {
			continue
		}
		p.capacity, p.unit = new(60.0), "kg"
		if _, err := p.client.UpdateProfile(ctx, api.ProfileUpdate{DailyIntakeCapacity: api.Given(p.capacity), CapacityUnit: &p.unit}); err != nil {
			return fmt.Errorf("set the capacity of %s: %w", p.email, err)
		}
	}
	for i, p := range r.crew.carry[1:] {
		at := r.crew.centres[i%len(r.crew.centres)]
		p.available = true
		if _, err := p.client.UpdateProfile(ctx, api.ProfileUpdate{Latitude: api.Given(&at.Lat), Longitude: api.Given(&at.Lng), IsAvailable: &p.available}); err != nil {
			return fmt.Errorf("set the place of %s: %w", p.email, err)
		}
	}
	return nil
}

// clear leaves a server that is somebody else's without open donations of the run,
// and without volunteers who could be proposed.
func (r *run) clear(ctx context.Context) error {
	for _, p := range r.crew.everybody() {
		var err error
		if p.client, err = r.direct.newClient(p.token, newTally()); err != nil {
			return err
		}
		if !p.available {
			continue
		}
		if _, err := p.client.UpdateProfile(ctx, api.ProfileUpdate{IsAvailable: new(false)}); err != nil {
			return fmt.Errorf("give %s free: %w", p.email, err)
		}
	}
	return r.endDonations(ctx)
}

// endDonations cancels the donations of the run's donors that are open, and delivers
// those that are on their way.
func (r *run) endDonations(ctx context.Context) error {
	o := client.ListOptions{Statuses: []string{"AVAILABLE", "CLAIMED", "PICKED_UP"}, Limit: pageOfDonations}
	for {
		list, next, err := r.admin.Donations(ctx, o)
		if err != nil {
			return fmt.Errorf("look for open donations: %w", err)
		}
		for _, d := range list {
			donor, carrier := r.crew.find(&d.DonorID), r.crew.find(d.PickedUpBy)
			switch {
			case donor == nil:
				continue
			case d.Status != "PICKED_UP":
				_, err = donor.client.Cancel(ctx, d.ID, "the check is over")
			case carrier != nil:
				_, err = carrier.client.Deliver(ctx, d.ID)
			}
			if e, ok := errors.AsType[*api.Error](err); err != nil && (!ok || !slices.Contains(ordinary, e.Code)) {
				return fmt.Errorf("end donation %s: %w", d.ID, err)
			}
		}
		if o.After = next; next == "" {
			return nil
		}
	}
}

func (c *crew) everybody() []*person { return slices.Concat(c.bystanders, c.donors, c.ngos, c.carry) }
