package contract

import (
	"encoding/json"
	"strings"
	"time"

	"larder/api"
)

// Side says who sends an event.
type Side int

// The two sides of a live connection.
const (
	FromServer Side = iota + 1
	FromClient
)

// Door is a way to hear events, or a set of them.
type Door int

// The doors of package gateway (P-1, P-30, P-37).
const (
	SocketIO Door = 1 << iota
	Plain
	Stream
)

const (
	everyDoor = SocketIO | Plain | Stream
	bothWays  = SocketIO | Plain // a stream can't be spoken to
)

// Event is what the documents say of one live event.
type Event struct {
	Name    string // may end in a parameter, {donationId}
	From    Side
	Doors   Door
	Payload any    // an example of it, and its type; nil: no payload
	Ack     any    // likewise of the answer; nil: none
	Logged  bool   // committed: it carries its position, and the offset on Socket.IO
	Who     string // who hears it, or may send it
	Clause  string // of docs/protocol.md
	Summary string
}

// Prefix is the name up to its parameter; the whole of it when there is none.
func (e Event) Prefix() string {
	prefix, _, _ := strings.Cut(e.Name, "{")
	return prefix
}

// Values of the examples, everywhere in the documents.
const (
	exampleDonation = "019ac1e0-5d3a-7c41-9f0e-2b7d6c1a4e01"
	exampleDonor    = "019ac1d7-0b52-7e83-8a44-91c0de5f7a02"
	exampleNGO      = "019ac1d7-3f6e-7d09-b5c2-47aa10c3d803"
	exampleCarrier  = "019ac1d7-71c4-7b1a-a6d8-5e2f90b41c04"
	exampleNotice   = "019ac1e4-20b8-7d5f-8b13-6c9a0f2e7d05"
	examplePosition = "k7mq2xw4bnfr-000000000042c"
	exampleToken    = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI…"
)

var exampleTime = time.Date(2026, time.November, 2, 9, 30, 0, 0, time.UTC)

func inHours(h float64) api.Time {
	return api.At(exampleTime.Add(time.Duration(h * float64(time.Hour))))
}

const (
	toAll  = "everybody signed in, unless their feed is narrowed to other donations"
	toSelf = "this connection alone"
)

// Events is the table of all live events.
var Events = []Event{
	{
		Name: api.EventFeedReady, From: FromServer, Doors: everyDoor, Who: toSelf, Clause: "P-5",
		Summary: "The first event of a connection. What is committed after position follows, none left out.",
		Payload: api.FeedReady{Position: examplePosition, User: api.FeedUser{ID: exampleNGO, Role: "NGO"}},
	},
	{
		Name: api.EventDonationCreated, From: FromServer, Doors: everyDoor, Logged: true, Who: toAll, Clause: "P-10",
		Summary: "Food is on offer.",
		Payload: api.DonationCreated{
			ID: exampleDonation, Name: "Rye bread", FoodType: "bakery", Quantity: "12.5", Unit: "kg", Description: new("Baked this morning"),
			Location: api.Location{Lat: 52.52, Lng: 13.405, Address: "Ackerstr. 1, Berlin"}, DonorName: "Corner Bakery",
			ExpiryTime: inHours(8), ImageURLs: []string{}, CreatedAt: inHours(0), DonorID: exampleDonor, Latitude: 52.52, Longitude: 13.405,
			Status: "AVAILABLE", Version: 1, Position: examplePosition,
		},
	},
	{
		Name: api.EventDonationClaimed, From: FromServer, Doors: everyDoor, Logged: true, Who: toAll, Clause: "P-11",
		Summary: "An NGO has taken a donation.",
		Payload: api.DonationClaimed{
			DonationID: exampleDonation, ClaimedBy: exampleNGO, Status: "CLAIMED", ClaimedAt: inHours(1), Version: 2, Position: examplePosition,
		},
	},
	{
		Name: api.EventDonationStatusUpdated, From: FromServer, Doors: everyDoor, Logged: true, Who: toAll, Clause: "P-12",
		Summary: "A donation was picked up, delivered, released or cancelled, or it has expired.",
		Payload: api.DonationStatusUpdated{
			DonationID: exampleDonation, Status: "PICKED_UP", PreviousStatus: "CLAIMED", UpdatedBy: exampleCarrier, UpdatedAt: inHours(2),
			Version: 3, Position: examplePosition,
		},
	},
	{
		Name: api.EventDonationNearExpiry, From: FromServer, Doors: everyDoor, Logged: true, Who: toAll, Clause: "P-13",
		Summary: "An open donation expires within the hour. It comes once in the life of a donation.",
		Payload: api.DonationNearExpiry{DonationID: exampleDonation, ExpiryTime: inHours(8), Position: examplePosition},
	},
	{
		Name: api.EventVolunteerAssigned, From: FromServer, Doors: everyDoor, Logged: true, Clause: "P-14",
		Who: "the volunteer, the claimer and the donor", Summary: "A trip was proposed to a volunteer.",
		Payload: api.VolunteerAssigned{
			VolunteerID: exampleCarrier, DonationID: exampleDonation, DonationName: "Rye bread", DonorAddress: "Ackerstr. 1, Berlin",
			NGOName: "Soup Kitchen", ID: exampleNotice, CreatedAt: inHours(1), Position: examplePosition,
		},
	},
	{
		Name: api.EventNotification, From: FromServer, Doors: everyDoor, Logged: true, Clause: "P-15",
		Who: "its owner, or everybody of its roles", Summary: "Something that an account is told, as it is stored.",
		Payload: api.Notification{
			ID: exampleNotice, UserID: new(exampleDonor), Title: "Your food was claimed", Message: "Soup Kitchen has claimed Rye bread.",
			Type: "food_claimed", CreatedAt: inHours(1), DonationID: new(exampleDonation), Position: examplePosition,
		},
	},
	{
		Name: api.EventVolunteerLocation + "{donationId}", From: FromServer, Doors: everyDoor, Clause: "P-16",
		Who: "the claimer, the donor and the carrier", Summary: "Where the carrier of a donation is now. It comes at most once, and no replay has it.",
		Payload: api.VolunteerLocation{VolunteerID: exampleCarrier, DonationID: exampleDonation, Lat: 52.53, Lng: 13.41, Timestamp: inHours(2)},
	},
	{
		Name: api.EventFeedEntered, From: FromServer, Doors: everyDoor, Logged: true, Who: "connections with a narrowed feed", Clause: "P-26",
		Summary: "A donation has come into view.",
		Payload: api.FeedEntered{
			Donation: encoded(exampleDonationAs("AVAILABLE")), Event: api.EventDonationStatusUpdated, Version: 1, Position: examplePosition,
		},
	},
	{
		Name: api.EventFeedLeft, From: FromServer, Doors: everyDoor, Logged: true, Who: "connections with a narrowed feed", Clause: "P-26",
		Summary: "A donation has left the view. It comes in place of the event that took it out.",
		Payload: api.FeedLeft{
			DonationID: exampleDonation, Status: "CLAIMED", PreviousStatus: "AVAILABLE", Event: api.EventDonationClaimed, Version: 2,
			Position: examplePosition,
		},
	},
	{
		Name: api.EventFeedPosition, From: FromServer, Doors: bothWays, Who: toSelf, Clause: "P-23",
		Summary: "Follows the snapshot of feed.subscribe, and comes on Socket.IO every 4,096 records, for clients that keep the last position they heard.",
		Payload: api.FeedPosition{Position: examplePosition},
	},
	{
		Name: api.EventAuthExpiring, From: FromServer, Doors: everyDoor, Who: toSelf, Clause: "P-18",
		Summary: "The token runs out in a minute: show a fresh one with auth.refresh, or be closed 25 s after expiresAt.",
		Payload: api.AuthExpiring{ExpiresAt: inHours(1)},
	},
	{
		Name: api.EventServerDraining, From: FromServer, Doors: everyDoor, Who: "every connection, with a time of its own", Clause: "P-17",
		Summary: "The server goes away: come back in so many milliseconds.",
		Payload: api.ServerDraining{ReconnectInMs: 3200},
	},
	{
		Name: api.EventException, From: FromServer, Doors: everyDoor, Who: toSelf, Clause: "P-21",
		Summary: "A message that this connection sent has failed. The connection stays.",
		Payload: api.Exception{
			Status: "error", Message: "after must be a position", Code: api.CodeValidation,
			Cause: api.Cause{Pattern: api.EventFeedResume, Data: json.RawMessage(`{"after":""}`)},
		},
	},
	{
		Name: api.EventTestResponse, From: FromServer, Doors: bothWays, Who: toSelf, Clause: "P-20",
		Summary: "Answers test.",
		Payload: api.Pong{Message: "Pong!", Timestamp: inHours(0)},
	},

	{
		Name: api.EventTest, From: FromClient, Doors: bothWays, Who: "anybody signed in", Clause: "P-20",
		Summary: "Asks whether the server hears: test-response comes, and the ack.",
		Ack:     api.Pong{Message: "Pong!", Timestamp: inHours(0)},
	},
	{
		Name: api.EventFeedSubscribe, From: FromClient, Doors: bothWays, Who: "anybody signed in", Clause: "P-23",
		Summary: "Narrows the donation events of this connection, with a snapshot that meets the stream exactly.",
		Payload: api.FeedSubscribe{
			Area:     &api.FeedArea{Lat: new(52.52), Lng: new(13.405), RadiusKm: new(5.0)},
			Statuses: []string{"AVAILABLE"}, FoodTypes: []string{"bakery"},
		},
		Ack: api.FeedSubscribed{Position: examplePosition, Items: []api.Donation{exampleDonationAs("AVAILABLE")}},
	},
	{
		Name: api.EventFeedResume, From: FromClient, Doors: bothWays, Who: "anybody signed in", Clause: "P-22",
		Summary: "Asks what happened after a position, for clients without connection state recovery.",
		Payload: api.FeedResume{After: examplePosition},
		Ack: api.FeedResumed{Position: examplePosition, Recovered: true, Events: []api.LoggedEvent{{
			Position: examplePosition, Event: api.EventDonationNearExpiry, At: inHours(7),
			Data: encoded(api.DonationNearExpiry{DonationID: exampleDonation, ExpiryTime: inHours(8)}),
		}}},
	},
	{
		Name: api.EventShareLocation, From: FromClient, Doors: bothWays, Who: "the carrier of a donation on its way", Clause: "P-25",
		Summary: "Tells where the carrier is. Of one trip one location a second is passed on.",
		Payload: api.ShareLocation{DonationID: exampleDonation, Lat: new(52.53), Lng: new(13.41)},
		Ack:     api.Shared{OK: true},
	},
	{
		Name: api.EventAuthRefresh, From: FromClient, Doors: bothWays, Who: "anybody signed in", Clause: "P-24",
		Summary: "Shows a fresh token of the same account; the connection stays.",
		Payload: api.AuthRefresh{Token: exampleToken},
		Ack:     api.AuthExpiring{ExpiresAt: inHours(168)},
	},
	{
		Name: api.EventAuth, From: FromClient, Doors: Plain, Who: "whoever has not shown a token yet, as first message", Clause: "P-31",
		Summary: "Says who the client is, when neither a header nor a subprotocol did.",
		Payload: api.AuthRefresh{Token: exampleToken},
	},
}

// encoded is an example as it stands inside of another one.
func encoded(v any) json.RawMessage {
	b, err := json.Marshal(v)
	if err != nil {
		panic("contract: bug: " + err.Error())
	}
	return b
}
