package fanout_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"pgregory.net/rapid"

	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/fanout"
	"larder/internal/feed"
	"larder/internal/geo"
)

// about is a record about a donation at a place.
func about(seq int64, lat, lng float64, food string, before, after donation.Status) eventlog.Record {
	r := record(seq, everyone)
	r.Previous = string(before)
	r.Donation, _ = json.Marshal(map[string]any{"latitude": lat, "longitude": lng, "foodType": food, "status": after})
	return r
}

// Whatever clients watch and forget, a record reaches exactly the rooms of the
// views that it touches, and each by its passage.
func TestViewsFindWhomARecordTouches(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := &door{t: t}
		f := newFanout(t, nil, d)
		views := map[int]feed.View{} // by client
		rooms := map[int]string{}
		lat, lng := rapid.Float64Range(-90, 90), rapid.Float64Range(-180, 180)
		status := rapid.SampledFrom(donation.Statuses())
		seq := int64(10)
		for range rapid.IntRange(1, 40).Draw(rt, "steps") {
			client := rapid.IntRange(0, 9).Draw(rt, "client")
			switch rapid.IntRange(0, 3).Draw(rt, "what") {
			case 0:
				var v feed.View
				if rapid.Bool().Draw(rt, "area") {
					v.Area = &geo.Area{Lat: lat.Draw(rt, "lat"), Lng: lng.Draw(rt, "lng"), RadiusKm: rapid.Float64Range(1, 12000).Draw(rt, "km")}
				}
				if rapid.Bool().Draw(rt, "status") {
					v.Statuses = []donation.Status{status.Draw(rt, "of")}
				}
				views[client], rooms[client] = v, f.Views.Watch(client, v)
			case 1:
				f.Views.Forget(client)
				delete(views, client)
				delete(rooms, client)
			default:
				seq++
				r := about(seq, lat.Draw(rt, "lat"), lng.Draw(rt, "lng"), "x", status.Draw(rt, "before"), status.Draw(rt, "after"))
				f.Publish(context.Background(), []eventlog.Record{r})
				m := d.messages[len(d.messages)-1]
				for c, v := range views {
					want := v.Passage(feed.FactsOf(r))
					for _, p := range []feed.Passage{feed.Within, feed.Enters, feed.Leaves} {
						if got := slices.Contains(m.Rooms(p), rooms[c]); got != (p == want) {
							rt.Fatalf("view %s of client %d, record %s: passage %d told %t, want passage %d", v.Key(), c, r.Donation, p, got, want)
						}
					}
					if m.For("anybody", "DONOR", v) != want {
						rt.Fatalf("For: got %d, want %d", m.For("anybody", "DONOR", v), want)
					}
				}
				if !slices.Contains(m.Rooms(feed.Within), fanout.RoomEveryone) || slices.Contains(m.Rooms(feed.Within), fanout.RoomNarrowed) {
					rt.Fatalf("rooms: got %q, want everyone and not narrowed", m.Rooms(feed.Within))
				}
				all := slices.Concat(m.Rooms(feed.Within), m.Rooms(feed.Enters), m.Rooms(feed.Leaves))
				slices.Sort(all)
				if len(slices.Compact(slices.Clone(all))) != len(all) {
					rt.Fatalf("a room twice: %q", all)
				}
			}
			for c := range 10 {
				v, room := f.Views.Of(c)
				if v.Key() != views[c].Key() || room != rooms[c] {
					rt.Fatalf("client %d: got %s in %q, want %s in %q", c, v.Key(), room, views[c].Key(), rooms[c])
				}
			}
		}
		for c := range 10 {
			f.Views.Forget(c)
		}
		if clients, kept := f.Views.Len(); clients != 0 || kept != 0 {
			rt.Fatalf("left: %d clients, %d views", clients, kept)
		}
		f.Publish(context.Background(), []eventlog.Record{about(seq+1, 0, 0, "x", "", donation.Available)})
		if got := d.messages[len(d.messages)-1].Rooms(feed.Within); !slices.Equal(got, []string{fanout.RoomEveryone}) {
			rt.Fatalf("rooms with nobody left: %q", got)
		}
	})
}

// The ring gives what was delivered after a position, or says that it can't.
func TestEnterAfter(t *testing.T) {
	f := newFanout(t, nil)
	var seen []int64
	since := func(after eventlog.Position) (got []int64, ok bool) {
		ok = f.EnterAfter(after, func(pos eventlog.Position, missed []*fanout.Message) {
			for _, m := range missed {
				got = append(got, m.Record.Position.Seq)
			}
			if pos.Seq != int64(10+2*len(seen)) {
				t.Errorf("position: got %v", pos)
			}
		})
		return got, ok
	}
	for i := range fanout.RingRecords + 100 { // every other number: transactions that failed leave holes
		seq := int64(12 + 2*i)
		f.Publish(t.Context(), []eventlog.Record{record(seq, everyone)})
		seen = append(seen, seq)
	}
	last := seen[len(seen)-1]
	oldest := seen[len(seen)-fanout.RingRecords]
	for name, tc := range map[string]struct {
		after eventlog.Position
		want  int // messages; less than 0: not to be had
	}{
		"the head":          {eventlog.Position{Epoch: epoch, Seq: last}, 0},
		"one before":        {eventlog.Position{Epoch: epoch, Seq: last - 2}, 1},
		"in a hole":         {eventlog.Position{Epoch: epoch, Seq: last - 3}, 2},
		"all of the ring":   {eventlog.Position{Epoch: epoch, Seq: oldest - 2}, fanout.RingRecords},
		"the hole before":   {eventlog.Position{Epoch: epoch, Seq: oldest - 1}, fanout.RingRecords},
		"before the ring":   {eventlog.Position{Epoch: epoch, Seq: oldest - 3}, -1},
		"the beginning":     {eventlog.Position{Epoch: epoch}, -1},
		"ahead":             {eventlog.Position{Epoch: epoch, Seq: last + 1}, -1},
		"of another epoch":  {eventlog.Position{Epoch: "zzzzzzzzzzzz", Seq: last}, -1},
		"of another, ahead": {eventlog.Position{Epoch: "zzzzzzzzzzzz", Seq: 1 << 40}, -1},
	} {
		got, ok := since(tc.after)
		if ok != (tc.want >= 0) || ok && !slices.Equal(got, seen[len(seen)-tc.want:]) {
			t.Errorf("%s: got %d messages, %t, want %d", name, len(got), ok, tc.want)
		}
	}
}

// The ring is bounded by bytes too.
func TestRingIsBoundedByBytes(t *testing.T) {
	f := newFanout(t, nil)
	for i := range 40 {
		r := record(int64(11+i), everyone)
		r.Payload = fmt.Appendf(nil, `{"x":"%01000000d"}`, i)
		f.Publish(t.Context(), []eventlog.Record{r})
	}
	n := -1
	for after := int64(10); n < 0; after++ {
		f.EnterAfter(eventlog.Position{Epoch: epoch, Seq: after}, func(_ eventlog.Position, missed []*fanout.Message) { n = len(missed) })
	}
	if n != 16 {
		t.Errorf("megabytes in the ring: got %d, want 16", n)
	}
}

// What was committed before a start is there for who comes back, and is not
// delivered again.
func TestRecall(t *testing.T) {
	d := &door{t: t}
	f := newFanout(t, nil, d)
	f.Recall([]eventlog.Record{record(7, everyone), record(8, everyone), record(10, everyone), record(11, everyone)}) // another node was quick
	got := -1
	if !f.EnterAfter(eventlog.Position{Epoch: epoch, Seq: 7}, func(_ eventlog.Position, missed []*fanout.Message) { got = len(missed) }) || got != 2 {
		t.Errorf("after 7: got %d messages, want 2", got)
	}
	if f.EnterAfter(eventlog.Position{Epoch: epoch, Seq: 5}, func(eventlog.Position, []*fanout.Message) {}) {
		t.Error("after 5: the ring can't know what 6 was")
	}
	if len(d.messages) != 0 {
		t.Errorf("delivered again: %d messages", len(d.messages))
	}
	other := newFanout(t, nil)
	other.Recall([]eventlog.Record{record(7, everyone)}) // something is missing before 10
	if other.EnterAfter(eventlog.Position{Epoch: epoch, Seq: 7}, func(eventlog.Position, []*fanout.Message) {}) {
		t.Error("a recall with a hole was taken")
	}
}

// After a loss the ring begins anew: nobody is given what is left for all.
func TestLose(t *testing.T) {
	d := &door{t: t, clients: []*client{{}}}
	f := newFanout(t, nil, d)
	f.Publish(t.Context(), []eventlog.Record{record(11, everyone), record(12, everyone)})
	f.Lose(eventlog.Position{Epoch: epoch, Seq: 20})
	f.Publish(t.Context(), []eventlog.Record{record(21, everyone)})
	for after, want := range map[int64]bool{10: false, 12: false, 19: false, 20: true, 21: true} {
		if got := f.EnterAfter(eventlog.Position{Epoch: epoch, Seq: after}, func(eventlog.Position, []*fanout.Message) {}); got != want {
			t.Errorf("after %d: got %t, want %t", after, got, want)
		}
	}
	if len(d.clients) != 0 || f.Position().Seq != 21 {
		t.Errorf("%d clients are left, at %v", len(d.clients), f.Position())
	}
}

func TestReach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFanout(t, nil)
		ctx, cancel := context.WithCancel(t.Context())
		reached := make(chan int64, 3)
		for _, seq := range []int64{10, 11, 13} {
			go func() {
				if f.Reach(ctx, eventlog.Position{Epoch: epoch, Seq: seq}) == nil {
					reached <- seq
				}
			}()
		}
		synctest.Wait()
		if n := len(reached); n != 1 {
			t.Errorf("at 10: %d got there, want one", n)
		}
		f.Publish(t.Context(), []eventlog.Record{record(11, everyone)})
		synctest.Wait()
		if n := len(reached); n != 2 {
			t.Errorf("at 11: %d got there, want two", n)
		}
		cancel()
		synctest.Wait()
		if n := len(reached); n != 2 {
			t.Errorf("after the end: %d got there, want two", n)
		}
	})
}
