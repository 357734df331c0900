// Package fanout turns each committed record into one message and hands it to
// every door at which live clients wait.
//
// A record's audience becomes rooms, and its payload is encoded once: one
// Socket.IO event and one plain WebSocket frame, shared by all who get it.
//
// # Promises
//
//   - Doors get the messages in log order, one at a time, from the tailer's
//     goroutine. A door must not block: a slow client is its door's to cut.
//   - Enter gives a place to join the stream without hole or overlap: what the
//     function sees as position has been delivered, and everything after it will
//     be delivered to whoever joined inside.
//
// A Fanout may be used from many goroutines; doors are added before the tailer runs.
package fanout

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"

	"larder/api"
	"larder/internal/eventlog"
	"larder/socketio"
)

// RoomEveryone is the room of all who are signed in.
const RoomEveryone = "everyone"

// RoomUser is the room of all sockets of one account.
func RoomUser(accountID string) string { return "user:" + accountID }

// Message is one committed record on its way to live clients.
type Message struct {
	Record eventlog.Record
	// Event is the record for Socket.IO; nil if nobody's feed shows it.
	Event *socketio.Event
	// Frame is the record as the plain WebSocket sends it; nil likewise.
	Frame json.RawMessage
}

// Rooms are where the message goes. No rooms means nobody.
func (m *Message) Rooms() []string {
	if m.Record.Audience.Everyone {
		return []string{RoomEveryone}
	}
	rooms := make([]string, 0, len(m.Record.Audience.Users))
	for _, u := range m.Record.Audience.Users {
		rooms = append(rooms, RoomUser(u))
	}
	return rooms
}

// Door is where live clients of one kind wait. Deliver is called in log order,
// never concurrently, and must not block.
type Door interface{ Deliver(m *Message) }

// Fanout hands records to doors.
type Fanout struct {
	log   *slog.Logger
	doors []Door

	mu  sync.RWMutex // guards pos; held for writing while one record is delivered
	pos eventlog.Position
}

// New returns a Fanout that starts after pos.
func New(pos eventlog.Position, log *slog.Logger, doors ...Door) *Fanout {
	return &Fanout{pos: pos, log: log, doors: doors}
}

// Enter runs join while no record is being delivered. pos is the last delivered
// position. join must be short and must not call back.
func (f *Fanout) Enter(join func(pos eventlog.Position)) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	join(f.pos)
}

// Position is the last delivered position.
func (f *Fanout) Position() (pos eventlog.Position) {
	f.Enter(func(p eventlog.Position) { pos = p })
	return pos
}

// Publish delivers records, in order. It is the tailer's sink.
func (f *Fanout) Publish(_ context.Context, recs []eventlog.Record) {
	for _, r := range recs {
		m, err := encode(r)
		if err != nil {
			// A payload that the store accepted and nobody can encode: our bug. The
			// feed goes on; clients see the gap in the positions by asking again.
			f.log.Error("record can't be encoded", "position", r.Position.String(), "type", r.Type, "err", err)
			m = &Message{Record: r}
		}
		f.deliver(m)
	}
}

func (f *Fanout) deliver(m *Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, d := range f.doors {
		d.Deliver(m)
	}
	f.pos = m.Record.Position
}

// encode makes the one form of a record for each kind of door.
func encode(r eventlog.Record) (*Message, error) {
	m := &Message{Record: r}
	if !r.Audience.Everyone && len(r.Audience.Users) == 0 {
		return m, nil
	}
	data := r.Data()
	event, err := socketio.NewEvent(r.Type, data)
	if err != nil {
		return nil, fmt.Errorf("socket.io event: %w", err)
	}
	frame, err := json.Marshal(api.Frame{Event: r.Type, Data: data})
	if err != nil {
		return nil, fmt.Errorf("frame: %w", err)
	}
	m.Event, m.Frame = event, frame
	return m, nil
}
