package fanout_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"larder/api"
	"larder/internal/eventlog"
	"larder/internal/fanout"
	"larder/internal/feed"
)

const epoch = "abcdefgh2345"

func record(seq int64, a eventlog.Audience) eventlog.Record {
	return eventlog.Record{
		Position: eventlog.Position{Epoch: epoch, Seq: seq},
		Draft:    eventlog.Draft{Type: "donation.claimed", Subject: "d", Audience: a, Payload: fmt.Appendf(nil, `{"n":%d}`, seq)},
	}
}

var everyone = eventlog.Audience{Everyone: true}

// door keeps what it is given, and clients that joined with where they joined.
type door struct {
	t        *testing.T
	mu       sync.Mutex // guards all below
	messages []*fanout.Message
	clients  []*client
	busy     bool
}

type client struct {
	from int64 // the position told on entering
	seen []int64
}

func (d *door) Deliver(m *fanout.Message) {
	d.mu.Lock()
	if d.busy {
		d.t.Error("Deliver was called while it ran")
	}
	d.busy = true
	d.mu.Unlock()

	d.mu.Lock()
	defer d.mu.Unlock()
	d.busy = false
	d.messages = append(d.messages, m)
	for _, c := range d.clients {
		c.seen = append(c.seen, m.Record.Position.Seq)
	}
}

func (d *door) Lose() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.clients = nil
}

func (d *door) Signal(*fanout.Signal) { d.t.Error("a signal among records") }

func newFanout(t *testing.T, logs *bytes.Buffer, doors ...fanout.Door) *fanout.Fanout {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	if logs != nil {
		log = slog.New(slog.NewTextHandler(logs, nil))
	}
	return fanout.New(eventlog.Position{Epoch: epoch, Seq: 10}, log, doors...)
}

func TestPublish(t *testing.T) {
	first, second := &door{t: t}, &door{t: t}
	f := newFanout(t, nil, first, second)
	if got := f.Position(); got.Seq != 10 {
		t.Errorf("position before: got %v, want 10", got)
	}
	f.Publish(t.Context(), []eventlog.Record{record(11, everyone), record(12, eventlog.Audience{Users: []string{"a", "b"}}), record(13, eventlog.Audience{})})
	f.Publish(t.Context(), []eventlog.Record{record(15, everyone)}) // numbers may have holes
	f.Publish(t.Context(), nil)
	if got := f.Position(); got.Seq != 15 || got.Epoch != epoch {
		t.Errorf("position after: got %v, want 15", got)
	}
	f.Publish(t.Context(), []eventlog.Record{record(16, eventlog.Audience{})}) // for nobody's feed, and passed all the same
	if got := f.Position(); got.Seq != 16 {
		t.Errorf("position after a record for nobody: got %v, want 16", got)
	}
	f.Publish(t.Context(), []eventlog.Record{record(17, eventlog.Audience{Users: []string{"a"}, Roles: []string{"NGO", "VOLUNTEER"}})})
	for name, d := range map[string]*door{"first": first, "second": second} {
		var got []string
		for _, m := range d.messages {
			got = append(got, fmt.Sprint(m.Record.Position.Seq, m.Rooms(feed.Within)))
		}
		if want := []string{"11 [everyone narrowed]", "12 [user:a user:b]", "13 []", "15 [everyone narrowed]", "16 []", "17 [user:a role:NGO role:VOLUNTEER]"}; !slices.Equal(got, want) {
			t.Errorf("%s door: got %q, want %q", name, got, want)
		}
	}
	for i, m := range first.messages {
		if m != second.messages[i] {
			t.Errorf("message %d was made once for each door", i)
		}
		visible := len(m.Rooms(feed.Within)) > 0
		if m.Visible() != visible || visible && (m.Event(feed.Within) == nil || m.Frame(feed.Within) == nil) {
			t.Errorf("message %d for %v: visible %t, frame %s", i, m.Rooms(feed.Within), m.Visible(), m.Frame(feed.Within))
		}
	}
	m := first.messages[0]
	if got := m.Event(feed.Within).Name(); got != "donation.claimed" {
		t.Errorf("event name: got %q", got)
	}
	var frame api.Frame
	if err := json.Unmarshal(m.Frame(feed.Within), &frame); err != nil || frame.Event != "donation.claimed" || frame.ID != nil ||
		string(frame.Data) != `{"n":11,"position":"abcdefgh2345-000000000011p"}` {
		t.Errorf("frame: got %s, %v", m.Frame(feed.Within), err)
	}
}

func TestRoomsOfUsersAndEveryoneDiffer(t *testing.T) {
	if fanout.RoomUser("everyone") == fanout.RoomEveryone || fanout.RoomUser("a") == fanout.RoomUser("b") || fanout.RoomUser("NGO") == fanout.RoomRole("NGO") {
		t.Error("two rooms share a name")
	}
	d := &door{t: t}
	newFanout(t, nil, d).Publish(t.Context(), []eventlog.Record{record(11, eventlog.Audience{Everyone: true, Users: []string{"a"}})})
	m := d.messages[0]
	if got := m.Rooms(feed.Within); !slices.Equal(got, []string{fanout.RoomEveryone, fanout.RoomNarrowed}) {
		t.Errorf("everyone and a user: got %q, want one room, or the user hears it twice", got)
	}
}

func TestRecordThatNobodyCanEncode(t *testing.T) {
	for name, broken := range map[string]eventlog.Record{
		"a reserved name": {Draft: eventlog.Draft{Type: "connect", Audience: everyone, Payload: []byte(`{}`)}},
		"no JSON":         {Draft: eventlog.Draft{Type: "x", Audience: everyone, Payload: []byte(`{"a":}`)}},
		"nothing":         {Draft: eventlog.Draft{Type: "x", Audience: everyone}},
	} {
		t.Run(name, func(t *testing.T) {
			broken.Position = eventlog.Position{Epoch: epoch, Seq: 11}
			var logs bytes.Buffer
			d := &door{t: t}
			f := newFanout(t, &logs, d)
			f.Publish(t.Context(), []eventlog.Record{broken, record(12, everyone)})
			if len(d.messages) != 2 || d.messages[0].Event(feed.Within) != nil || d.messages[0].Frame(feed.Within) != nil || d.messages[1].Event(feed.Within) == nil {
				t.Fatalf("got %d messages, want the broken one without a form and the next one whole", len(d.messages))
			}
			if f.Position().Seq != 12 {
				t.Errorf("position: got %v, want 12", f.Position())
			}
			if got := logs.String(); strings.Count(got, "level=ERROR") != 1 || !strings.Contains(got, "abcdefgh2345-000000000011p") {
				t.Errorf("logs: got %q, want one error with the position", got)
			}
		})
	}
}

// TestEnterHasNoHoleAndNoOverlap lets clients join and leave while records go
// out: each hears everything after the position that it was told, from the first
// on.
func TestEnterHasNoHoleAndNoOverlap(t *testing.T) {
	d := &door{t: t}
	f := newFanout(t, nil, d)
	var joining sync.WaitGroup
	for range 8 {
		joining.Go(func() {
			for range 40 {
				f.Enter(func(pos eventlog.Position) {
					d.mu.Lock()
					defer d.mu.Unlock()
					if d.busy {
						t.Error("Enter ran while a record was delivered")
					}
					d.clients = append(d.clients, &client{from: pos.Seq})
				})
			}
		})
	}
	joined := make(chan struct{})
	go func() { joining.Wait(); close(joined) }()
	last := int64(10)
	for running := true; running; { // and once more when all are in
		select {
		case <-joined:
			running = false
		default:
		}
		var recs []eventlog.Record
		for range 1 + last%5 {
			last++
			recs = append(recs, record(last, everyone))
		}
		f.Publish(t.Context(), recs)
	}
	for i, c := range d.clients {
		if got := len(c.seen); got != int(last-c.from) {
			t.Errorf("client %d entered at %d and heard %d records, want %d", i, c.from, got, last-c.from)
			continue
		}
		for k, seq := range c.seen {
			if seq != c.from+int64(k)+1 {
				t.Errorf("client %d entered at %d and heard %d as number %d", i, c.from, seq, k)
				break
			}
		}
	}
}
