package socketio_test

import (
	"encoding/json"
	"strings"
	"testing"

	"larder/socketio"
)

func raw(values ...string) []json.RawMessage {
	var args []json.RawMessage
	for _, v := range values {
		args = append(args, json.RawMessage(v))
	}
	return args
}

func TestNewEventRefuses(t *testing.T) {
	many := make([][]byte, socketio.MaxEmitAttachments+1)
	for name, tc := range map[string]struct {
		event string
		args  socketio.Args
	}{
		"reserved name":          {"disconnect", socketio.Args{}},
		"name is not UTF-8":      {"\xff", socketio.Args{}},
		"empty argument":         {"e", socketio.Args{Values: raw("")}},
		"broken argument":        {"e", socketio.Args{Values: raw("1", "{")}},
		"two values in one":      {"e", socketio.Args{Values: raw("1,2")}},
		"closes the array":       {"e", socketio.Args{Values: raw(`1]`)}},
		"argument is not UTF-8":  {"e", socketio.Args{Values: raw("\"\xff\"")}},
		"too deep":               {"e", socketio.Args{Values: raw(strings.Repeat("[", 200) + strings.Repeat("]", 200))}},
		"placeholder of nothing": {"e", socketio.Args{Values: []json.RawMessage{socketio.Placeholder(1)}, Attachments: [][]byte{{1}}}},
		"too many attachments":   {"e", socketio.Args{Attachments: many}},
	} {
		t.Run(name, func(t *testing.T) {
			if ev, err := socketio.NewBinaryEvent(tc.event, tc.args); err == nil {
				t.Fatalf("NewBinaryEvent: got %v, want an error", ev)
			}
		})
	}
}

// What an Event may hold, a client must be able to parse. The argument is a
// JSON array's worth of levels below the packet's own.
func TestNewEventDepth(t *testing.T) {
	for depth := socketio.MaxDepth - 2; depth <= socketio.MaxDepth+1; depth++ {
		arg := strings.Repeat("[", depth) + strings.Repeat("]", depth)
		_, errEvent := socketio.NewEvent("e", json.RawMessage(arg))
		_, errPacket := socketio.ParsePacket([]byte(`2["e",` + arg + `]`))
		if (errEvent == nil) != (errPacket == nil) {
			t.Errorf("depth %d: NewEvent says %v, ParsePacket %v", depth, errEvent, errPacket)
		}
	}
}
