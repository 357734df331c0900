package notice_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/notice"
)

// change is an event that leads to a status, as the rules of a donation make it.
func change(by string, before, after donation.Status) donation.Event {
	was := donation.Donation{
		ID: "d1", Name: "Bread", Quantity: 2.5, Unit: "kg", Address: "1 High St", DonorID: "donor", DonorName: "Bakery", Status: before,
		AssignedVolunteerID: "proposed", ClaimedByID: "ngo",
	}
	if after == donation.Delivered {
		was.PickedUpBy = "carrier"
	}
	if before == donation.Available {
		was.AssignedVolunteerID, was.ClaimedByID = "", ""
	}
	e := donation.Event{Type: donation.EventStatusUpdated, Previous: before, By: by, ByName: "Name of " + by, Before: was, After: was}
	switch e.After.Status = after; after {
	case donation.Claimed:
		e.Type, e.After.ClaimedByID, e.After.AssignedVolunteerID = donation.EventClaimed, by, "proposed"
	case donation.Available:
		e.After.ClaimedByID, e.After.AssignedVolunteerID = "", ""
	case donation.PickedUp:
		e.After.PickedUpBy = by
	}
	return e
}

func created(by string) donation.Event {
	e := change(by, donation.Available, donation.Available)
	e.Type, e.Previous, e.Before = donation.EventCreated, "", donation.Donation{}
	return e
}

func near(claimer string) donation.Event {
	e := change(account.SystemID, donation.Available, donation.Available)
	e.Type, e.ByName, e.Before, e.After.ClaimedByID = donation.EventNearExpiry, "", donation.Donation{}, claimer
	return e
}

func because(e donation.Event, reason string) donation.Event {
	e.Reason = reason
	return e
}

func TestWhoIsToldWhat(t *testing.T) {
	for name, tc := range map[string]struct {
		event donation.Event
		want  []string
	}{
		"created": {created("donor"), []string{
			"NGO VOLUNTEER: new_food_nearby: New food available: Bakery offers Bread (2.5 kg) at 1 High St.",
		}},
		"claimed": {change("ngo", donation.Available, donation.Claimed), []string{
			"donor: food_claimed: Your food was claimed: Name of ngo has claimed Bread (2.5 kg).",
			"proposed: pickup_assigned: A pick-up is proposed to you: Name of ngo has claimed Bread (2.5 kg). Can you pick it up at 1 High St?",
		}},
		"near expiry, available": {near(""), []string{
			"donor: near_expiry: Your food expires soon: Bread (2.5 kg) expires within an hour, and nobody has claimed it.",
		}},
		"near expiry, claimed": {near("ngo"), []string{
			"donor: near_expiry: Your food expires soon: Bread (2.5 kg) expires within an hour. It is claimed, and not picked up yet.",
			"ngo: near_expiry: Food that you claimed expires soon: Bread (2.5 kg) expires within an hour. It is not picked up yet.",
		}},
		"picked up by another": {change("carrier", donation.Claimed, donation.PickedUp), []string{
			"donor: food_picked_up: Your food was picked up: Name of carrier has picked up Bread (2.5 kg).",
			"ngo: food_picked_up: Your food is on its way: Name of carrier has picked up Bread (2.5 kg).",
			"proposed: food_picked_up: Somebody else has gone: Name of carrier has picked up Bread (2.5 kg). You need not go.",
		}},
		"picked up by the proposed one": {change("proposed", donation.Claimed, donation.PickedUp), []string{
			"donor: food_picked_up: Your food was picked up: Name of proposed has picked up Bread (2.5 kg).",
			"ngo: food_picked_up: Your food is on its way: Name of proposed has picked up Bread (2.5 kg).",
		}},
		"delivered by the carrier": {change("carrier", donation.PickedUp, donation.Delivered), []string{
			"donor: delivery_confirmed: Your food was delivered: Bread (2.5 kg) has arrived. Thank you.",
			"ngo: delivery_confirmed: Delivery confirmed: Name of carrier has delivered Bread (2.5 kg).",
		}},
		"delivered, says the claimer": {change("ngo", donation.PickedUp, donation.Delivered), []string{
			"donor: delivery_confirmed: Your food was delivered: Bread (2.5 kg) has arrived. Thank you.",
			"carrier: delivery_confirmed: Delivery confirmed: Name of ngo confirms that Bread (2.5 kg) has arrived. Thank you.",
		}},
		"delivered, says an admin": {change("admin", donation.PickedUp, donation.Delivered), []string{
			"donor: delivery_confirmed: Your food was delivered: Bread (2.5 kg) has arrived. Thank you.",
			"ngo: delivery_confirmed: Delivery confirmed: Name of admin has delivered Bread (2.5 kg).",
			"carrier: delivery_confirmed: Delivery confirmed: Name of admin confirms that Bread (2.5 kg) has arrived. Thank you.",
		}},
		"released": {because(change("ngo", donation.Claimed, donation.Available), "The van broke down"), []string{
			"donor: claim_released: A claim was given back: Name of ngo has given back the claim of Bread (2.5 kg). It is available again. Reason: The van broke down",
			"proposed: claim_released: A pick-up is not needed any more: The claim of Bread (2.5 kg) was given back. You need not go.",
		}},
		"released by an admin": {change("admin", donation.Claimed, donation.Available), []string{
			"donor: claim_released: A claim was given back: Name of admin has given back the claim of Bread (2.5 kg). It is available again.",
			"ngo: claim_released: Your claim was given back: Name of admin has given back your claim of Bread (2.5 kg).",
			"proposed: claim_released: A pick-up is not needed any more: The claim of Bread (2.5 kg) was given back. You need not go.",
		}},
		"cancelled, unclaimed": {because(change("donor", donation.Available, donation.Cancelled), "Spoilt"), nil},
		"cancelled": {because(change("donor", donation.Claimed, donation.Cancelled), "Spoilt"), []string{
			"ngo: donation_cancelled: Food that you claimed was cancelled: Name of donor has cancelled Bread (2.5 kg). Reason: Spoilt",
			"proposed: donation_cancelled: A pick-up is not needed any more: Bread (2.5 kg) was cancelled. You need not go.",
		}},
		"cancelled by an admin": {because(change("admin", donation.Available, donation.Cancelled), "Unsafe"), []string{
			"donor: donation_cancelled: Your donation was cancelled: Name of admin has cancelled Bread (2.5 kg). Reason: Unsafe",
		}},
		"expired, unclaimed": {change(account.SystemID, donation.Available, donation.Expired), []string{
			"donor: donation_expired: Your food has expired: Nobody claimed Bread (2.5 kg) in time.",
		}},
		"expired, claimed": {change(account.SystemID, donation.Claimed, donation.Expired), []string{
			"donor: donation_expired: Your food has expired: Bread (2.5 kg) was not picked up in time.",
			"ngo: donation_expired: Food that you claimed has expired: Bread (2.5 kg) was not picked up in time.",
			"proposed: donation_expired: A pick-up is not needed any more: Bread (2.5 kg) was not picked up in time. You need not go.",
		}},
		"of another kind": {donation.Event{Type: "something.else", After: donation.Donation{Status: donation.Claimed}}, nil},
	} {
		var got []string
		for _, n := range notice.Of(tc.event) {
			got = append(got, text(n))
			if n.DonationID != "d1" {
				t.Errorf("%s: about %q", name, n.DonationID)
			}
		}
		if !slices.Equal(got, tc.want) {
			t.Errorf("%s:\n got %s\nwant %s", name, strings.Join(got, "\n     "), strings.Join(tc.want, "\n     "))
		}
	}
}

func text(n notice.Notice) string {
	to := n.To
	for _, r := range n.Roles {
		to = strings.TrimSpace(to + " " + string(r))
	}
	return fmt.Sprintf("%s: %s: %s: %s", to, n.Type, n.Title, n.Message)
}

// TestOnlyWhoIsConcernedIsTold holds for every life of a donation: a notice is for
// a party of the donation before or after the change, once, and not for who made
// it; only new food is told to roles.
func TestOnlyWhoIsConcernedIsTold(t *testing.T) {
	actors := []account.Actor{
		{ID: "ngo", Role: account.NGO, Verified: true, Active: true},
		{ID: "ngo2", Role: account.NGO, Verified: true, Active: true},
		{ID: "v1", Role: account.Volunteer, Verified: true, Active: true},
		{ID: "v2", Role: account.Volunteer, Verified: true, Active: true},
		{ID: "donor", Role: account.Donor, Verified: true, Active: true},
		{ID: "admin", Role: account.Admin, Verified: true, Active: true},
		account.SystemActor(),
	}
	start := time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		donor := account.Account{ID: "donor", Role: account.Donor, Active: true, Name: "D"}
		out, err := donation.New("d1", donation.Draft{
			Name: "Bread", FoodType: "bakery", Quantity: 1, Unit: "kg", PreparationTime: start, ExpiryTime: start.Add(9 * time.Hour),
		}, donor, 0, start)
		if err != nil {
			t.Fatal(err)
		}
		d := out.Donation
		for now := start; now.Before(start.Add(12 * time.Hour)); now = now.Add(time.Hour) {
			who := rapid.SampledFrom(actors).Draw(t, "who")
			c := donation.Command{
				Action: rapid.SampledFrom(donation.Actions()).Draw(t, "action"), By: who, ByName: who.ID, Reason: "r",
				Volunteer: rapid.SampledFrom([]string{"", "v1", "v3"}).Draw(t, "proposed"),
			}
			out, err := d.Decide(c, now)
			if err != nil {
				continue
			}
			for _, e := range out.Events {
				told := map[string]bool{}
				for _, n := range notice.Of(e) {
					switch {
					case n.To == "" || len(n.Roles) > 0:
						t.Fatalf("%s is told to %q", n.Type, n.Roles)
					case n.To == e.By:
						t.Fatalf("%s is told of what he did: %s", n.To, n.Message)
					case told[n.To]:
						t.Fatalf("%s is told twice", n.To)
					case !e.Before.Party(n.To) && !e.After.Party(n.To):
						t.Fatalf("%s has no part in it and is told %s", n.To, n.Message)
					case n.Title == "" || n.Message == "" || n.DonationID != "d1":
						t.Fatalf("incomplete: %+v", n)
					}
					told[n.To] = true
				}
				if e.By != "donor" && !told["donor"] {
					t.Fatalf("the donor is not told that his food is %s", e.After.Status)
				}
			}
			d = out.Donation
		}
	})
}

func TestBadges(t *testing.T) {
	for _, tc := range []struct {
		before, after int
		want          string
	}{
		{0, 9, ""},
		{0, 10, "New badge: 🌱 Newcomer"},
		{10, 20, ""},
		{40, 50, "New badge: 🦸 Local Hero"},
		{49, 151, "New badge: 🦸 Local Hero, New badge: 🏆 Champion"},
		{500, 510, ""},
		{50, 50, ""},
	} {
		var got []string
		for _, n := range notice.Badges("a", "d", tc.before, tc.after) {
			got = append(got, n.Title)
			if n.To != "a" || n.DonationID != "d" || n.Type != notice.TypeBadge || !strings.HasSuffix(n.Message, fmt.Sprintf("You have %d karma points.", tc.after)) {
				t.Errorf("from %d to %d: %+v", tc.before, tc.after, n)
			}
		}
		if s := strings.Join(got, ", "); s != tc.want {
			t.Errorf("from %d to %d: got %q, want %q", tc.before, tc.after, s, tc.want)
		}
	}
}
