package fanout

import (
	"encoding/json"
	"fmt"
	"sync"

	"larder/api"
	"larder/internal/eventlog"
	"larder/internal/feed"
	"larder/socketio"
)

// Rooms. Who is signed in is in exactly one of RoomEveryone and RoomNarrowed, and
// in the latter also in the room of its view.
const (
	RoomEveryone = "everyone" // all whose feed is whole
	RoomNarrowed = "narrowed" // all whose feed is not
)

// RoomUser is the room of all sockets of one account.
func RoomUser(accountID string) string { return "user:" + accountID }

// Message is one committed record on its way to live clients, in the form of each
// door and each passage, which is made once and shared by all who get it.
type Message struct {
	Record eventlog.Record
	Facts  feed.Facts

	rooms [feed.Leaves + 1][]string
	fan   *Fanout
	forms [feed.Leaves + 1]form
}

type form struct {
	once  sync.Once
	event *socketio.Event
	frame json.RawMessage
	data  json.RawMessage
	name  string
}

// RoomRole is the room of all sockets whose accounts have a role.
func RoomRole(role string) string { return "role:" + role }

// Visible says whether anybody's feed shows the record.
func (m *Message) Visible() bool {
	a := m.Record.Audience
	return a.Everyone || len(a.Users) > 0 || len(a.Roles) > 0
}

// Rooms are where the message goes by a passage. No rooms means nobody.
func (m *Message) Rooms(p feed.Passage) []string { return m.rooms[p] }

// route fixes the rooms, by the views that there are now.
func (m *Message) route(views *Views) {
	a := m.Record.Audience
	switch {
	case a.Everyone && m.Facts.About:
		m.rooms = views.rooms(m.Facts)
		m.rooms[feed.Within] = append(m.rooms[feed.Within], RoomEveryone)
	case a.Everyone:
		m.rooms[feed.Within] = []string{RoomEveryone, RoomNarrowed}
	default:
		for _, u := range a.Users {
			m.rooms[feed.Within] = append(m.rooms[feed.Within], RoomUser(u))
		}
		for _, r := range a.Roles {
			m.rooms[feed.Within] = append(m.rooms[feed.Within], RoomRole(r))
		}
	}
}

// For is by which passage an account with a role and a view gets the message.
func (m *Message) For(accountID, role string, view feed.View) feed.Passage {
	a := m.Record.Audience
	switch {
	case !a.Includes(accountID, role):
		return feed.Outside
	case !a.Everyone: // its own, or its role's: no view keeps it out
		return feed.Within
	}
	return view.Passage(m.Facts)
}

// Event is the message for Socket.IO, with the position as offset; nil if it
// can't be encoded, which is in the log.
func (m *Message) Event(p feed.Passage) *socketio.Event { return m.form(p).event }

// Frame is the message as the plain WebSocket sends it; nil likewise.
func (m *Message) Frame(p feed.Passage) json.RawMessage { return m.form(p).frame }

// Data is name and data of the message; the name is empty likewise.
func (m *Message) Data(p feed.Passage) (name string, data json.RawMessage) {
	f := m.form(p)
	return f.name, f.data
}

func (m *Message) form(p feed.Passage) *form {
	f := &m.forms[p]
	f.once.Do(func() {
		if err := f.encode(m.Record, p); err != nil {
			// A payload that the store accepted and nobody can encode: our bug. The
			// feed goes on; clients see the gap in the positions by asking again.
			m.fan.log.Error("record can't be encoded", "position", m.Record.Position.String(), "type", m.Record.Type, "err", err)
		}
	})
	return f
}

func (f *form) encode(r eventlog.Record, p feed.Passage) error {
	name, data, err := feed.Tell(r, p)
	if err != nil {
		return err
	}
	event, err := socketio.NewEvent(name, data)
	if err != nil {
		return fmt.Errorf("socket.io event: %w", err)
	}
	frame, err := json.Marshal(api.Frame{Event: name, Data: data})
	if err != nil {
		return fmt.Errorf("frame: %w", err)
	}
	f.event, f.frame, f.name, f.data = event.WithOffset(r.Position.String()), frame, name, data
	return nil
}
