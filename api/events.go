package api

import "encoding/json"

// Names of the events that a server sends to live clients.
const (
	EventDonationCreated       = "donation.created"
	EventDonationClaimed       = "donation.claimed"
	EventDonationStatusUpdated = "donation.status.updated"
	EventDonationNearExpiry    = "donation.near_expiry"
	EventVolunteerAssigned     = "volunteer.assigned"
	EventNotification          = "notification"
	EventFeedReady             = "feed.ready"
	EventFeedPosition          = "feed.position"
	EventFeedEntered           = "feed.entered"
	EventFeedLeft              = "feed.left"
	EventVolunteerLocation     = "volunteer.location." // and the donation's id
	EventServerDraining        = "server.draining"
	EventException             = "exception"
	EventAuthExpiring          = "auth.expiring"
	EventTestResponse          = "test-response"
)

// Names of the events that a client sends.
const (
	EventTest          = "test"
	EventFeedResume    = "feed.resume"
	EventFeedSubscribe = "feed.subscribe"
	EventAuthRefresh   = "auth.refresh"
	EventShareLocation = "volunteer.shareLocation"
	EventAuth          = "auth" // plain WebSocket only: the token as first message
)

// DonationCreated says that food is on offer. Everybody signed in gets it.
type DonationCreated struct {
	ID          string   `json:"id"`
	Name        string   `json:"name"`
	FoodType    string   `json:"foodType"`
	Quantity    string   `json:"quantity"` // a decimal text here, as clients of the guide expect
	Unit        string   `json:"unit"`
	Description *string  `json:"description"`
	Location    Location `json:"location"`
	DonorName   string   `json:"donorName"`
	ExpiryTime  Time     `json:"expiryTime"`
	ImageURLs   []string `json:"imageUrls"`
	CreatedAt   Time     `json:"createdAt"`
	DonorID     string   `json:"donorId"`
	Latitude    float64  `json:"latitude"`
	Longitude   float64  `json:"longitude"`
	Status      string   `json:"status" enum:"AVAILABLE"`
	Version     int64    `json:"version"`
	Position    string   `json:"position,omitempty"`
}

// DonationClaimed says that an NGO has taken a donation.
type DonationClaimed struct {
	DonationID string `json:"donationId"`
	ClaimedBy  string `json:"claimedBy"`
	Status     string `json:"status" enum:"CLAIMED"`
	ClaimedAt  Time   `json:"claimedAt"`
	Version    int64  `json:"version"`
	Position   string `json:"position,omitempty"`
}

// DonationStatusUpdated says that a donation was picked up, delivered, released,
// cancelled or has expired.
type DonationStatusUpdated struct {
	DonationID     string  `json:"donationId"`
	Status         string  `json:"status" enum:"AVAILABLE,PICKED_UP,DELIVERED,EXPIRED,CANCELLED"`
	PreviousStatus string  `json:"previousStatus" enum:"AVAILABLE,CLAIMED,PICKED_UP"`
	UpdatedBy      string  `json:"updatedBy"` // an account's id, or "system" for the clock
	UpdatedAt      Time    `json:"updatedAt"`
	Reason         *string `json:"reason"`
	Version        int64   `json:"version"`
	Position       string  `json:"position,omitempty"`
}

// DonationNearExpiry says that an open donation expires soon. It has no version:
// nothing of the donation has changed.
type DonationNearExpiry struct {
	DonationID string `json:"donationId"`
	ExpiryTime Time   `json:"expiryTime"`
	Position   string `json:"position,omitempty"`
}

// VolunteerLocation says where the carrier of a donation is now. It is no committed
// event: it comes at most once, and has no position in the log.
type VolunteerLocation struct {
	VolunteerID string  `json:"volunteerId"`
	DonationID  string  `json:"donationId"`
	Lat         float64 `json:"lat"` // degrees
	Lng         float64 `json:"lng"`
	Timestamp   Time    `json:"timestamp"`
}

// ShareLocation tells where the carrier of a donation is. VolunteerID is the
// caller's or absent.
type ShareLocation struct {
	DonationID  string   `json:"donationId"`
	VolunteerID string   `json:"volunteerId,omitempty"`
	Lat         *float64 `json:"lat" nullable:"false"` // degrees
	Lng         *float64 `json:"lng" nullable:"false"`
}

// Shared answers ShareLocation. Locations that come faster than one a second are
// acknowledged and not passed on.
type Shared struct {
	OK bool `json:"ok"`
}

// FeedReady is the first event of a socket: from Position on it hears everything
// that it may see. Recovered says that it has come back, and that what it missed
// after Position follows; Reason says why it has not, if it wanted to.
type FeedReady struct {
	Position  string   `json:"position"`
	Recovered bool     `json:"recovered"`
	Reason    string   `json:"reason,omitempty"`
	User      FeedUser `json:"user"`
}

// FeedSubscribe narrows the donation events of a client. What is absent or empty
// narrows nothing; all absent is the whole feed again.
type FeedSubscribe struct {
	Area      *FeedArea `json:"area,omitempty"`
	Statuses  []string  `json:"statuses,omitempty" enum:"AVAILABLE,CLAIMED,PICKED_UP,DELIVERED,EXPIRED,CANCELLED"`
	FoodTypes []string  `json:"foodTypes,omitempty"` // compared without case
}

// FeedArea is a circle on the earth. All three are required.
type FeedArea struct {
	Lat      *float64 `json:"lat" nullable:"false"` // degrees
	Lng      *float64 `json:"lng" nullable:"false"`
	RadiusKm *float64 `json:"radiusKm" nullable:"false"`
}

// FeedSubscribed answers FeedSubscribe: the donations in view at Position, newest
// first. Without statuses these are the ones that are still open. What happens
// after Position follows as events. More says that there are older ones, which
// GET /donations lists.
type FeedSubscribed struct {
	Position string     `json:"position"`
	Items    []Donation `json:"items"`
	More     bool       `json:"more"`
}

// FeedPosition follows FeedSubscribed, for clients that keep the last position
// that an event has told them, and comes now and then while their views are quiet.
type FeedPosition struct {
	Position string `json:"position"`
}

// FeedEntered says that a donation has come into the view of a narrowed feed that
// was not in it before, by the event that Event names.
type FeedEntered struct {
	Donation json.RawMessage `json:"donation"` // a Donation, as it was then
	Event    string          `json:"event"`
	Version  int64           `json:"version"`
	Position string          `json:"position"`
}

// FeedLeft says that a donation has left the view of a narrowed feed, by the event
// that Event names.
type FeedLeft struct {
	DonationID     string `json:"donationId"`
	Status         string `json:"status" enum:"AVAILABLE,CLAIMED,PICKED_UP,DELIVERED,EXPIRED,CANCELLED"`
	PreviousStatus string `json:"previousStatus" enum:"AVAILABLE,CLAIMED,PICKED_UP,DELIVERED,EXPIRED,CANCELLED"`
	Event          string `json:"event"`
	Version        int64  `json:"version"`
	Position       string `json:"position"`
}

// FeedUser is who the server takes the socket for.
type FeedUser struct {
	ID   string `json:"id"`
	Role string `json:"role" enum:"DONOR,NGO,VOLUNTEER,ADMIN"`
}

// FeedResume asks for what happened after a position.
type FeedResume struct {
	After string `json:"after"`
}

// FeedResumed answers FeedResume and GET /events. When Recovered is false nothing
// is in Events: the client takes a snapshot with GET /donations and goes on from
// Position. When More is true it asks again after Position.
type FeedResumed struct {
	Position  string        `json:"position"`
	Recovered bool          `json:"recovered"`
	More      bool          `json:"more"`
	Reason    string        `json:"reason,omitempty" doc:"Why nothing was recovered: position, epoch, ahead, window."`
	Events    []LoggedEvent `json:"events" nullable:"false"`
}

// LoggedEvent is a committed event as GET /events, the history of a donation and
// FeedResumed list it.
type LoggedEvent struct {
	Position string          `json:"position"`
	Event    string          `json:"event"`
	At       Time            `json:"at"`
	Data     json.RawMessage `json:"data"`
}

// AuthExpiring tells a client that its token runs out, and answers AuthRefresh: it
// is closed a while after ExpiresAt unless it shows a fresh token.
type AuthExpiring struct {
	ExpiresAt Time `json:"expiresAt"`
}

// AuthRefresh shows a fresh token of the same account.
type AuthRefresh struct {
	Token string `json:"token"`
}

// Pong answers the test event.
type Pong struct {
	Message   string `json:"message"`
	Timestamp Time   `json:"timestamp"`
}

// ServerDraining tells a client that the server goes away and when to return.
type ServerDraining struct {
	ReconnectInMs int64 `json:"reconnectInMs"`
}

// Exception tells a client that its message failed.
type Exception struct {
	Status       string `json:"status" enum:"error"`
	Message      string `json:"message"`
	Code         Code   `json:"code"`
	Cause        Cause  `json:"cause"`
	RetryAfterMs int64  `json:"retryAfterMs,omitempty"` // with rate_limited
}

// Cause repeats the message that failed.
type Cause struct {
	Pattern string          `json:"pattern"`
	Data    json.RawMessage `json:"data"`
}

// ConnectErrorData is the data of a connect_error: Retry says whether the same
// client may try again without changing anything.
type ConnectErrorData struct {
	Code         Code  `json:"code"`
	Retry        bool  `json:"retry"`
	RetryAfterMs int64 `json:"retryAfterMs,omitempty"`
}

// Frame is one message of the plain WebSocket, both ways. A message with an ID
// is answered by a frame with the same ID and the answer as Data.
type Frame struct {
	Event string          `json:"event,omitempty"`
	Data  json.RawMessage `json:"data,omitempty"`
	ID    json.RawMessage `json:"id,omitempty"`
}

// Health is the body of GET /health, /livez and /readyz.
type Health struct {
	Status    string            `json:"status" enum:"OK,DOWN"`
	Timestamp Time              `json:"timestamp"`
	Checks    map[string]string `json:"checks,omitempty"`
}
