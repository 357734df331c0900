package verify

import (
	"context"
	"crypto/rand"
	"fmt"
	"slices"

	"larder/api"
	"larder/client"
)

// person is an account of the run.
type person struct {
	role     string
	id       string
	token    string
	fresh    string // another token
	email    string
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

// settle makes the accounts and lets the admin verify the NGOs. Two of them take
// only so much in a day. All volunteers but the first are free for trips.
func (c *crew) settle(ctx context.Context, prefix string, admin *client.Client) error {
	join := func(role, name string, n int) (list []*person, err error) {
		for i := range n {
			p := &person{role: role, email: fmt.Sprintf("%s%s%d@verify.test", prefix, name, i+1)}
			if p.client, err = c.site.newClient("", c.tally); err != nil {
				return nil, err
			}
			password := rand.Text()
			session, err := p.client.Register(ctx, api.Registration{
				Email: p.email, Password: password, Name: fmt.Sprintf("Check %s %d", name, i+1), Role: role,
			})
			if err != nil {
				return nil, fmt.Errorf("register %s: %w", p.email, err)
			}
			p.id, p.token = session.User.ID, session.Token
			if session, err = p.client.Login(ctx, p.email, password); err != nil {
				return nil, fmt.Errorf("sign in as %s: %w", p.email, err)
			}
			p.fresh = session.Token
			list = append(list, p)
		}
		return list, nil
	}
	var err error
	if c.donors, err = join("DONOR", "donor", donorCount); err != nil {
		return err
	}
	if c.ngos, err = join("NGO", "ngo", ngoCount); err != nil {
		return err
	}
	if c.carry, err = join("VOLUNTEER", "volunteer", carryCount); err != nil {
		return err
	}
	if c.bystanders, err = join("NGO", "bystander", bystanderCount); err != nil {
		return err
	}
	for i, p := range c.ngos {
		if _, err := admin.VerifyNGO(ctx, p.id); err != nil {
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
	for i, p := range c.carry[1:] {
		at := c.centres[i%len(c.centres)]
		p.available = true
		if _, err := p.client.UpdateProfile(ctx, api.ProfileUpdate{Latitude: api.Given(&at.Lat), Longitude: api.Given(&at.Lng), IsAvailable: &p.available}); err != nil {
			return fmt.Errorf("set the place of %s: %w", p.email, err)
		}
	}
	return nil
}

func (c *crew) everybody() []*person { return slices.Concat(c.bystanders, c.donors, c.ngos, c.carry) }
