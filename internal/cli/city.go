package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"larder/api"
	"larder/client"
)

// city is the people of a demonstration: a few donors, two NGOs, two volunteers
// in the middle of Lisbon. They use a Larder through its REST interface like
// anybody else, and react to what others do there.
type city struct {
	open     func() (*client.Client, error) // a client that nobody has signed in
	admin    api.Login
	password string        // of everybody else
	pace     time.Duration // between two actions, on average
	say      func(line string)

	donors, ngos, volunteers []*citizen
}

// citizen is one person of the city with a client of his own.
type citizen struct {
	api.Registration
	lat, lng float64
	menu     []dish
	client   *client.Client
	id       string
}

// dish is something that a donor has left again and again.
type dish struct {
	name, foodType, unit string
	least, most          int // of unit
	hours                int // until it is no good; high-risk food needs more than 3
	note                 string
}

// patience is how long the city leaves to visitors what visitors have begun.
const patience = 30 * time.Second

// newCity returns the city without its connections. Businesses and people are
// made up; streets and places are real, positions good to about 50 metres.
func newCity() *city {
	donor := func(email, org, kind, name, address string, lat, lng float64, menu ...dish) *citizen {
		return &citizen{Registration: api.Registration{
			Email: email, Role: "DONOR", Name: name, OrganizationName: org, OrganizationType: kind, Address: address,
		}, lat: lat, lng: lng, menu: menu}
	}
	person := func(role, email, org, name, address string, lat, lng float64) *citizen {
		return &citizen{Registration: api.Registration{
			Email: email, Role: role, Name: name, OrganizationName: org, Address: address,
		}, lat: lat, lng: lng}
	}
	return &city{
		donors: []*citizen{
			donor("bakery@demo.test", "Padaria da Baixa", "Bakery", "Marta Lopes", "Rua Augusta, Lisboa", 38.7103, -9.1370,
				dish{"Rye bread", "Bread", "loaves", 6, 24, 20, "Baked this morning"},
				dish{"Rolls and croissants", "Bread", "pieces", 20, 80, 10, ""},
				dish{"Custard tarts", "Dairy pastry", "pieces", 12, 48, 6, "Keep cool"}),
			donor("hotel@demo.test", "Hotel do Chiado", "Hotel", "Rui Antunes", "Rua Garrett, Lisboa", 38.7107, -9.1423,
				dish{"Vegetable lasagne", "Cooked food", "portions", 8, 30, 4, "Two trays, still warm"},
				dish{"Chicken and rice", "Cooked food", "portions", 10, 40, 4, ""},
				dish{"Breakfast fruit", "Fruit", "kg", 3, 12, 24, "Cut fruit is packed apart"}),
			donor("market@demo.test", "Mercearia Figueira", "Supermarket", "Ana Ribeiro", "Praça da Figueira, Lisboa", 38.7139, -9.1378,
				dish{"Mixed vegetables", "Vegetables", "kg", 5, 40, 48, "Bent carrots, good soup"},
				dish{"Yoghurt, short date", "Dairy", "pieces", 24, 120, 12, "Cold chain kept"},
				dish{"Tins and pasta", "Dry food", "kg", 10, 60, 240, "Dented tins, all tight"}),
			donor("caterer@demo.test", "Mesa Grande Catering", "Caterer", "João Pires", "Avenida da Liberdade, Lisboa", 38.7185, -9.1445,
				dish{"Conference sandwiches", "Meat and cheese", "pieces", 20, 90, 4, "From a lunch of 200"},
				dish{"Soup of the day", "Cooked food", "litres", 5, 25, 4, "In closed pots"}),
			donor("fish@demo.test", "Peixaria do Arsenal", "Fishmonger", "Teresa Melo", "Rua do Arsenal, Lisboa", 38.7077, -9.1405,
				dish{"Sardines on ice", "Seafood", "kg", 2, 10, 5, "Caught last night"}),
		},
		ngos: []*citizen{
			person("NGO", "kitchen@demo.test", "Cozinha Aberta", "Inês Duarte", "Rua do Benformoso, Lisboa", 38.7178, -9.1352),
			person("NGO", "shelter@demo.test", "Abrigo de Alfama", "Paulo Reis", "Rua dos Remédios, Lisboa", 38.7127, -9.1262),
		},
		volunteers: []*citizen{
			person("VOLUNTEER", "sofia@demo.test", "", "Sofia Nunes", "Largo do Carmo, Lisboa", 38.7121, -9.1405),
			person("VOLUNTEER", "tiago@demo.test", "", "Tiago Costa", "Rua da Madalena, Lisboa", 38.7110, -9.1347),
		},
	}
}

func (p *citizen) display() string { return cmp.Or(p.OrganizationName, p.Name) }

// everybody is the city without its admin.
func (c *city) everybody() []*citizen { return slices.Concat(c.donors, c.ngos, c.volunteers) }

// settle gives everybody an account, or signs in those who have one from an
// earlier run, and lets the admin verify the NGOs.
func (c *city) settle(ctx context.Context) error {
	for _, p := range c.everybody() {
		var err error
		if p.client, err = c.open(); err != nil {
			return err
		}
		if err := c.join(ctx, p); err != nil {
			return fmt.Errorf("%s: %w", p.Email, err)
		}
	}
	admin, err := c.open()
	if err != nil {
		return err
	}
	defer admin.Close()
	if _, err := admin.Login(ctx, c.admin.Email, c.admin.Password); err != nil {
		return fmt.Errorf("sign in as the admin: %w", err)
	}
	for _, p := range c.ngos {
		if _, err := admin.VerifyNGO(ctx, p.id); err != nil {
			return fmt.Errorf("verify %s: %w", p.Email, err)
		}
	}
	return nil
}

func (c *city) join(ctx context.Context, p *citizen) error {
	p.Password = c.password
	session, err := p.client.Register(ctx, p.Registration)
	if e, ok := errors.AsType[*api.Error](err); ok && e.Code == api.CodeEmailTaken {
		session, err = p.client.Login(ctx, p.Email, p.Password)
	}
	if err != nil {
		return err
	}
	p.id = session.User.ID
	u := api.ProfileUpdate{Latitude: api.Given(&p.lat), Longitude: api.Given(&p.lng)}
	if p.Role == "VOLUNTEER" {
		u.IsAvailable, u.VehicleType = new(true), new("Bicycle")
	}
	_, err = p.client.UpdateProfile(ctx, u)
	return err
}

// close lets go of the connections.
func (c *city) close() {
	for _, p := range c.everybody() {
		if p.client != nil {
			p.client.Close()
		}
	}
}

// maxTroubles is how many actions in a row may fail before the city gives up.
const maxTroubles = 5

// live acts until ctx ends: at once for the first time, and then at the city's
// pace. A refusal is part of life: a visitor may have been faster.
func (c *city) live(ctx context.Context) error {
	troubles := 0
	for {
		err := c.act(ctx)
		e, refused := errors.AsType[*api.Error](err)
		switch {
		case ctx.Err() != nil:
			return nil
		case err == nil:
			troubles = 0
		case refused && e.StatusCode < http.StatusInternalServerError:
			troubles = 0
			c.say("refused: " + e.Message.String())
		default:
			if troubles++; troubles == maxTroubles {
				return fmt.Errorf("the city gives up: %w", err)
			}
			c.say("trouble: " + err.Error())
		}
		// Half to one and a half of the pace.
		timer := time.NewTimer(c.pace/2 + rand.N(c.pace+1))
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
	}
}

// deed is something that somebody of the city could do now.
type deed struct {
	weight int
	do     func(ctx context.Context) error
}

// act looks at the board and does one of the things that are possible.
func (c *city) act(ctx context.Context) error {
	board, _, err := c.donors[0].client.Donations(ctx, client.ListOptions{Statuses: []string{"AVAILABLE", "CLAIMED", "PICKED_UP"}, Limit: 200})
	if err != nil {
		return err
	}
	deeds := c.deeds(board, time.Now())
	sum := 0
	for _, d := range deeds {
		sum += d.weight
	}
	if sum == 0 {
		return nil
	}
	pick := rand.IntN(sum)
	for _, d := range deeds {
		if pick -= d.weight; pick < 0 {
			return d.do(ctx)
		}
	}
	return nil
}

// deeds lists what is possible on a board at the moment now. The more waits, the
// likelier it is done next, so that the board neither empties nor overflows.
func (c *city) deeds(board []api.Donation, now time.Time) []deed {
	var list []deed
	open := 0
	for _, d := range board {
		ripe := now.Sub(d.UpdatedAt.Time) > patience
		switch donor := c.find(c.donors, &d.DonorID); d.Status {
		case "AVAILABLE":
			open++
			if donor != nil || ripe {
				list = append(list, deed{4, func(ctx context.Context) error { return c.claim(ctx, d) }})
			}
			if donor != nil && open > 2 {
				list = append(list, deed{1, func(ctx context.Context) error { return c.cancel(ctx, donor, d) }})
			}
		case "CLAIMED":
			ngo := c.find(c.ngos, d.ClaimedByID)
			if ngo != nil || ripe {
				list = append(list, deed{8, func(ctx context.Context) error { return c.pickUp(ctx, d) }})
			}
			if ngo != nil {
				list = append(list, deed{1, func(ctx context.Context) error { return c.release(ctx, ngo, d) }})
			}
		case "PICKED_UP":
			if carrier := c.find(c.volunteers, d.PickedUpBy); carrier != nil {
				list = append(list, deed{8, func(ctx context.Context) error { return c.deliver(ctx, carrier, d) }})
			}
		}
	}
	if weight := 24 - 4*open; weight > 0 {
		list = append(list, deed{weight, c.offer})
	}
	return list
}

func (c *city) find(among []*citizen, id *string) *citizen {
	for _, p := range among {
		if id != nil && p.id == *id {
			return p
		}
	}
	return nil
}

// nameOf names somebody of the city, or a visitor.
func (c *city) nameOf(id *string) string {
	if p := c.find(c.everybody(), id); p != nil {
		return p.display()
	}
	return "a visitor"
}

func anyOf[T any](list []T) T { return list[rand.IntN(len(list))] }

func (c *city) offer(ctx context.Context) error {
	donor := anyOf(c.donors)
	meal := anyOf(donor.menu)
	now := time.Now()
	d, err := donor.client.CreateDonation(ctx, api.DonationDraft{
		Name: meal.name, FoodType: meal.foodType, Unit: meal.unit, Description: meal.note,
		Quantity:  api.Quantity(meal.least + rand.IntN(meal.most-meal.least+1)),
		Latitude:  donor.lat,
		Longitude: donor.lng, Address: donor.Address,
		ExpiryTime: now.Add(time.Duration(meal.hours)*time.Hour - rand.N(time.Hour)).UTC().Format(time.RFC3339),
	})
	if err == nil {
		c.tell("%s offers %s: %g %s, good until %s", donor.display(), d.Name, d.Quantity, d.Unit, d.ExpiryTime.Local().Format("Mon 15:04"))
	}
	return err
}

func (c *city) claim(ctx context.Context, d api.Donation) error {
	ngo := anyOf(c.ngos)
	pickup := time.Now().Add(30 * time.Minute).UTC().Format(time.RFC3339)
	_, err := ngo.client.Claim(ctx, d.ID, api.ClaimRequest{EstimatedPickupTime: pickup})
	if err == nil {
		c.tell("%s claims %s of %s", ngo.display(), d.Name, d.DonorName)
	}
	return err
}

func (c *city) release(ctx context.Context, ngo *citizen, d api.Donation) error {
	reason := anyOf([]string{"Our fridge is full today", "Nobody can come in time"})
	_, err := ngo.client.Release(ctx, d.ID, reason)
	if err == nil {
		c.tell("%s gives %s back: %s", ngo.display(), d.Name, strings.ToLower(reason))
	}
	return err
}

func (c *city) pickUp(ctx context.Context, d api.Donation) error {
	carrier := anyOf(c.volunteers)
	_, err := carrier.client.PickUp(ctx, d.ID)
	if err == nil {
		c.tell("%s picks up %s at %s for %s", carrier.display(), d.Name, d.DonorName, c.nameOf(d.ClaimedByID))
	}
	return err
}

func (c *city) deliver(ctx context.Context, carrier *citizen, d api.Donation) error {
	done, err := carrier.client.Deliver(ctx, d.ID)
	if err != nil {
		return err
	}
	karma := 0
	if done.KarmaAwarded != nil {
		karma = *done.KarmaAwarded
	}
	c.tell("%s delivers %s to %s and earns %d karma", carrier.display(), d.Name, c.nameOf(d.ClaimedByID), karma)
	sum, err := carrier.client.CommunityStats(ctx)
	if err == nil {
		c.tell("so far that is %g kg of food, %d meals and %g kg CO2e", sum.KgRescued, sum.MealsProvided, sum.CO2Saved)
	}
	return err
}

func (c *city) cancel(ctx context.Context, donor *citizen, d api.Donation) error {
	reason := anyOf([]string{"Sold after all", "The cold chain was broken"})
	_, err := donor.client.Cancel(ctx, d.ID, reason)
	if err == nil {
		c.tell("%s takes %s off the board: %s", donor.display(), d.Name, strings.ToLower(reason))
	}
	return err
}

func (c *city) tell(format string, args ...any) { c.say(fmt.Sprintf(format, args...)) }
