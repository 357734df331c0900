package verify

import (
	"encoding/json"
	"errors"

	"larder/api"
	"larder/socketio"
)

// subscription is how a Socket.IO witness stands with feed.subscribe.
type subscription struct {
	wanted  *View  // what it asked for last; nil: everything
	pending bool   // that was not answered yet
	since   string // position of the last answer
	known   string // a replay up to here repeats what the answer has shown
}

// comesBack prepares for another connection.
func (w *witness) comesBack() {
	if w.pending && w.began {
		w.Notes = append(w.Notes, Note{Kind: NoteUnsure})
	}
	// Who was cut off between the answer and feed.position comes back with an older
	// offset, and passes over what it knows.
	w.known = ""
	if w.offset < w.since {
		w.known = w.since
	}
}

// step is something that a witness does on its way.
type step func(s *socket) error

// stepEvery is how many events a witness hears before each step.
const stepEvery = 25

// step does the next one when it is time.
func (s *socket) step() error {
	w := s.w
	if len(w.steps) == 0 || w.pending || w.heard%stepEvery != 0 {
		return nil
	}
	next := w.steps[0]
	w.steps = w.steps[1:]
	return next(s)
}

// Ids of the acks that a witness asks for.
const (
	subscribeID = 1
	refreshID   = 2
)

func (s *socket) ask(name string, id uint64, body any) error {
	data, err := json.Marshal([]any{name, body})
	if err != nil {
		return err
	}
	return s.send(socketio.Packet{Type: socketio.PacketEvent, Namespace: namespace, ID: id, HasID: true, Data: data})
}

// narrow is a step: to ask for another view, or with nil for everything.
func narrow(view *View) step {
	return func(s *socket) error {
		s.w.wanted = view
		s.w.Notes = append(s.w.Notes, Note{Kind: NoteAsked, View: view})
		return s.subscribe()
	}
}

// subscribe narrows the feed of the socket (P-23). It stays so when the client comes
// back as the same socket.
func (s *socket) subscribe() error {
	s.w.pending = true
	var body api.FeedSubscribe
	if v := s.w.wanted; v != nil {
		body = api.FeedSubscribe{Statuses: v.Statuses, FoodTypes: v.FoodTypes}
		if v.RadiusKm > 0 {
			body.Area = &api.FeedArea{Lat: &v.Lat, Lng: &v.Lng, RadiusKm: &v.RadiusKm}
		}
	}
	return s.ask(api.EventFeedSubscribe, subscribeID, body)
}

// subscribed takes the snapshot from which on the narrowed feed goes.
func (s *socket) subscribed(data []byte) error {
	var args []struct {
		Position string         `json:"position"`
		Items    []api.Donation `json:"items"`
		api.Exception
	}
	if err := json.Unmarshal(data, &args); err != nil || len(args) != 1 || args[0].Position == "" {
		s.w.fault("feed.subscribe is answered with %.200q", data)
		return errors.New("not subscribed")
	}
	a, w := args[0], s.w
	switch {
	case !w.began:
		w.begin(a.Position)
	case s.listening: // it goes on
		w.tally.narrowed()
	case s.unsure && (s.recovered || s.reason == "ended"): // P-23
		w.resumed("asked again")
	default:
		w.gap(a.Position, s.reason)
	}
	w.pending, w.since, s.listening = false, a.Position, true
	w.Notes = append(w.Notes, Note{Kind: NoteNarrowed, Position: a.Position, View: w.wanted},
		Note{Kind: NoteSnapshot, Position: a.Position, View: w.wanted, Items: itemsOf(a.Items), Exact: true})
	w.reach(a.Position)
	return nil
}

// refresh is a step: to show another token of the account (P-24), and to come back
// with it from then on.
func refresh(token string) step {
	return func(s *socket) error {
		s.w.fresh = token
		return s.ask(api.EventAuthRefresh, refreshID, api.AuthRefresh{Token: token})
	}
}

func (s *socket) refreshed(data []byte) error {
	var args []api.AuthExpiring
	if err := json.Unmarshal(data, &args); err != nil || len(args) != 1 || args[0].ExpiresAt.IsZero() {
		s.w.fault("auth.refresh is answered with %.200q", data)
		return errors.New("not refreshed")
	}
	s.w.token = s.w.fresh
	s.w.tally.refreshed()
	return nil
}
