package fanout

import (
	"encoding/json"
	"fmt"

	"larder/api"
	"larder/socketio"
)

// Signal is something that is not worth keeping, such as where a carrier is now: the
// one exception from the rule that clients get only what was read back from the
// log. It goes at most once to those of its accounts that are connected to this
// node and take it at once. It has no position in the log, and nobody catches up with it.
type Signal struct {
	Accounts []string // whose clients get it
	Name     string   // of the event
	Data     json.RawMessage

	Event *socketio.Event // for Socket.IO, volatile
	Frame json.RawMessage // for the plain WebSocket
}

// NewSignal encodes a signal, once for all who get it.
func NewSignal(accounts []string, name string, payload any) (*Signal, error) {
	data, err := json.Marshal(payload)
	if err != nil {
		return nil, fmt.Errorf("signal %s: %w", name, err)
	}
	event, err := socketio.NewEvent(name, data)
	if err != nil {
		return nil, fmt.Errorf("signal %s: %w", name, err)
	}
	frame, err := json.Marshal(api.Frame{Event: name, Data: data})
	if err != nil {
		return nil, fmt.Errorf("signal %s: %w", name, err)
	}
	return &Signal{Accounts: accounts, Name: name, Data: data, Event: event.Volatile(), Frame: frame}, nil
}

// Signal hands a signal to every door. It does not wait for the stream and has no
// place in it.
func (f *Fanout) Signal(s *Signal) {
	for _, d := range f.doors {
		d.Signal(s)
	}
}
