package node_test

import (
	"context"
	"errors"
	"testing"

	"larder/api"
	"larder/client"
	"larder/internal/account"
	"larder/internal/testkit"
)

// TestGoClient has people go through a donation's life with the Go client, as the
// pages of SurplusSync do with theirs.
func TestGoClient(t *testing.T) {
	n := testkit.Start(t, testkit.Options{DataDir: t.TempDir()})
	ctx := t.Context()
	as := func(u *testkit.User) *client.Client {
		c, err := client.New(client.Config{BaseURL: n.URL(), Token: u.Token, HTTPClient: n.HTTP})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return c
	}
	users := map[account.Role]*testkit.User{}
	for _, r := range []account.Role{account.Donor, account.NGO, account.Volunteer, account.Admin} {
		users[r] = n.User(r)
	}
	donor, ngo, volunteer, admin := as(users[account.Donor]), as(users[account.NGO]), as(users[account.Volunteer]), as(users[account.Admin])

	available, lat, lng := true, 52.52, 13.4
	profile := answer[api.Profile](t)(volunteer.UpdateProfile(ctx, api.ProfileUpdate{IsAvailable: &available, Latitude: api.Given(&lat), Longitude: api.Given(&lng)}))
	d := n.Donate(users[account.Donor], map[string]any{"latitude": 52.52, "longitude": 13.41})
	answer[api.Donation](t)(ngo.Claim(ctx, d.ID, api.ClaimRequest{}))

	trips, _, err := volunteer.MyDeliveries(ctx, client.Page{})
	if err != nil || len(trips) != 1 || trips[0].ID != d.ID || trips[0].AssignedVolunteerID == nil || *trips[0].AssignedVolunteerID != profile.ID {
		t.Errorf("trips: %+v, %v", trips, err)
	}
	told := notifications(t, ctx, volunteer)
	if len(told) < 2 || told[0].Type != "pickup_assigned" || told[0].Read {
		t.Fatalf("told: %+v", told)
	}
	first, next, err := volunteer.Notifications(ctx, client.Page{Limit: 1})
	if err != nil || len(first) != 1 || next == "" {
		t.Errorf("a page of one: %+v, %q, %v", first, next, err)
	}
	if rest, _, err := volunteer.Notifications(ctx, client.Page{After: next}); err != nil || len(rest) != len(told)-1 || rest[0].ID != told[1].ID {
		t.Errorf("the page after: %+v, %v", rest, err)
	}
	if err := volunteer.ReadNotification(ctx, told[0].ID); err != nil {
		t.Error(err)
	}
	if told = notifications(t, ctx, volunteer); !told[0].Read || told[1].Read {
		t.Errorf("read one: %+v", told)
	}
	if err := volunteer.ReadAllNotifications(ctx); err != nil {
		t.Error(err)
	}
	if told = notifications(t, ctx, volunteer); !told[1].Read {
		t.Errorf("read all: %+v", told)
	}

	answer[api.Donation](t)(volunteer.PickUp(ctx, d.ID))
	answer[api.Delivery](t)(volunteer.Deliver(ctx, d.ID))
	feedback := answer[api.Feedback](t)(ngo.GiveFeedback(ctx, api.FeedbackRequest{DonationID: d.ID, Rating: 4, Comment: "Warm"}))
	if reviews := answer[[]api.Review](t)(donor.Reviews(ctx, d.ID)); len(reviews) != 1 || reviews[0].ID != feedback.ID {
		t.Errorf("reviews: %+v", reviews)
	}
	if s := answer[api.AverageScore](t)(donor.AverageScore(ctx, d.DonorID)); s.AverageScore != 4 || s.TotalReviews != 1 {
		t.Errorf("average: %+v", s)
	}
	_, err = ngo.GiveFeedback(ctx, api.FeedbackRequest{DonationID: d.ID, Rating: 5})
	if refused, ok := errors.AsType[*api.Error](err); !ok || refused.StatusCode != 400 {
		t.Errorf("a second rating: %v", err)
	}

	flag := answer[api.Flag](t)(volunteer.Flag(ctx, d.ID, "Smelled"))
	if list, _, err := admin.AllFlags(ctx, client.Page{}); err != nil || len(list) != 1 || list[0].ID != flag.ID {
		t.Errorf("flags: %+v, %v", list, err)
	}
	note := "Looked at it"
	if f := answer[api.Flag](t)(admin.DecideFlag(ctx, flag.ID, api.FlagUpdate{Status: "REJECTED", AdminNote: &note})); f.Status != "REJECTED" {
		t.Errorf("decided: %+v", f)
	}

	ticket := answer[api.Ticket](t)(donor.OpenTicket(ctx, api.TicketRequest{Subject: "Bowls", Description: "Whose are they?"}))
	if list, _, err := admin.AllTickets(ctx, client.Page{}); err != nil || len(list) != 1 || list[0].ID != ticket.ID {
		t.Errorf("all tickets: %+v, %v", list, err)
	}
	answer[api.Ticket](t)(admin.HandleTicket(ctx, ticket.ID, api.TicketUpdate{Status: "RESOLVED", AdminNote: &note}))
	if list, _, err := donor.Tickets(ctx, client.Page{}); err != nil || len(list) != 1 || list[0].Status != "RESOLVED" || list[0].AdminNote == nil {
		t.Errorf("own tickets: %+v, %v", list, err)
	}

	if months := answer[[]api.MonthStats](t)(donor.MonthlyStats(ctx)); len(months) != 6 || months[5].Delivered != 1 {
		t.Errorf("months: %+v", months)
	}
	if leaders := answer[[]api.Leader](t)(donor.Leaderboard(ctx, "weekly", "VOLUNTEER")); len(leaders) != 1 || leaders[0].ID != profile.ID {
		t.Errorf("leaders: %+v", leaders)
	}
	if c := answer[api.CommunityStats](t)(donor.CommunityStats(ctx)); c.DeliveredDonations != 1 {
		t.Errorf("community: %+v", c)
	}
}

// answer fails the test for an error.
func answer[T any](t *testing.T) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func notifications(t *testing.T, ctx context.Context, c *client.Client) []api.Notification {
	t.Helper()
	list, _, err := c.Notifications(ctx, client.Page{})
	if err != nil {
		t.Fatal(err)
	}
	return list
}
