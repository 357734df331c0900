package verify_test

import (
	"slices"
	"strings"
	"testing"

	"larder/internal/verify"
)

// Sights of anotherView beside those of the story.
const (
	ownEvent = 8 + iota
	nearB
)

// anotherView is the good run as a witness hears it that narrows its feed to what is
// available, and then asks for everything again. Its account is told something of its
// own, and B is announced, while it waits for the second answer.
func anotherView() *verify.Evidence {
	e := evidence()
	e.Sights = append(e.Sights,
		verify.Sight{Position: "abcdefgh2345-000000000005c", Name: "notification", Told: verify.Told{Kind: "account_verified"}, Sum: 50},
		verify.Sight{Position: "abcdefgh2345-000000000006c", Name: "donation.near_expiry", Donation: "B", Sum: 60})
	e.Sights[ownEvent].Told.To = "ngo1"
	e.Log = []uint32{createA, claimA, createB, pickUpA, claimB, nearB, deliverA}
	for account := range e.Logs {
		e.Logs[account] = e.Log
	}
	e.Logs["ngo1"] = []uint32{createA, claimA, createB, pickUpA, ownEvent, claimB, nearB, deliverA}
	e.Witnesses = []verify.Testimony{{Name: "w", Account: "ngo1", Notes: []verify.Note{
		{Kind: verify.NoteBegan, Position: position(0)},
		saw(createA, 1),
		{Kind: verify.NoteAsked, View: available},
		saw(claimA, 1),
		{Kind: verify.NoteNarrowed, Position: position(2), View: available},
		{Kind: verify.NoteSnapshot, Exact: true, Position: position(2), View: available},
		saw(createB, 1),
		{Kind: verify.NoteAsked},
		saw(ownEvent, 2), // B is claimed now, and near expiry in the new view alone
		{Kind: verify.NoteNarrowed, Position: "abcdefgh2345-000000000006c"},
		{Kind: verify.NoteSnapshot, Exact: true, Position: "abcdefgh2345-000000000006c", Items: []verify.Item{{"A", 3, "PICKED_UP"}, {"B", 2, "CLAIMED"}}},
		saw(deliverA, 1),
	}}}
	return e
}

func TestAnotherView(t *testing.T) {
	for _, v := range verify.Judge(anotherView()) {
		t.Error(v)
	}
	unsure := func(notes ...verify.Note) func([]verify.Note) []verify.Note {
		return func(n []verify.Note) []verify.Note {
			return slices.Concat(n[:8:8], notes, []verify.Note{{Kind: verify.NoteUnsure}}, n[9:])
		}
	}
	t.Run("no answer", func(t *testing.T) { // what came meanwhile was not written down
		e := anotherView()
		e.Witnesses[0].Notes = unsure()(e.Witnesses[0].Notes)
		for _, v := range verify.Judge(e) {
			t.Error(v)
		}
	})
	for _, c := range []struct {
		name  string
		spoil func(n []verify.Note) []verify.Note
		want  string
	}{
		{"its own is missing", func(n []verify.Note) []verify.Note {
			n[8] = saw(nearB, 1)
			return n
		}, "w: hole: 1 events are missing before the answer to feed.subscribe, the first is notification"},
		{"an event twice", unsure(saw(createB, 1)), "w: duplicate"},
		{"still the old view", func(n []verify.Note) []verify.Note {
			return slices.Concat(n[:6:6], []verify.Note{saw(createB, 2)}, n[7:])
		}, "w: heard donation.status.updated"},
		{"a snapshot of the old view", func(n []verify.Note) []verify.Note {
			n[10].Items = nil
			return n
		}, "lacks B, CLAIMED"},
		{"an older answer", func(n []verify.Note) []verify.Note {
			n[9].Position = position(2)
			return n
		}, "w: feed.subscribe was answered at " + position(2) + ", before what it had seen"},
		{"nothing after the answer", func(n []verify.Note) []verify.Note { return n[:11] }, "w: did not hear the last 1 of 8 events"},
		{"a hole without a question", func(n []verify.Note) []verify.Note { return slices.Delete(n, 2, 4) }, "w: hole: 1 events are missing before the answer"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := anotherView()
			w := &e.Witnesses[0]
			w.Notes = c.spoil(w.Notes)
			if got := strings.Join(verify.Judge(e), "\n"); !strings.Contains(got, c.want) {
				t.Errorf("got\n%s\nwant something with\n%s", got, c.want)
			}
		})
	}
}
