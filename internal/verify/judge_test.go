package verify_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"larder/api"
	"larder/internal/verify"
)

func position(seq int) string { return fmt.Sprintf("abcdefgh2345-%012db", seq) }

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func at(seq int) time.Time { return noon.Add(time.Duration(seq) * time.Second) }

const (
	created = api.EventDonationCreated
	claimed = api.EventDonationClaimed
	updated = api.EventDonationStatusUpdated
)

// Numbers of the sights of the story.
const (
	createA = iota
	claimA
	createB
	pickUpA
	claimB
	deliverA
	leftA // what a witness of available food sees in the place of claimA
	leftB
)

// evidence is a run in which all is well: A is delivered, B is claimed.
func evidence() *verify.Evidence {
	offer := &verify.Offer{Quantity: "5", Unit: "kg", FoodType: "Bread", Lat: 38.7, Lng: -9.1, Expires: noon.Add(time.Hour + 10*time.Second)}
	change := func(seq int, name, donation string, version int64, before, after, by string) verify.Sight {
		s := verify.Sight{
			Position: position(seq), Name: name, Donation: donation, Version: version, Previous: before, Status: after,
			By: by, At: at(seq), Sum: uint64(seq),
		}
		if name == created {
			s.Created = offer
		}
		return s
	}
	left := func(s verify.Sight) verify.Sight {
		s.Name, s.Stands, s.Sum = "feed.left", s.Name, s.Sum+100
		return s
	}
	e := &verify.Evidence{Whole: true, Oldest: position(6), Place: time.UTC}
	e.Sights = []verify.Sight{
		createA:  change(1, created, "A", 1, "", "AVAILABLE", "donor"),
		claimA:   change(2, claimed, "A", 2, "AVAILABLE", "CLAIMED", "ngo1"),
		createB:  change(3, created, "B", 1, "", "AVAILABLE", "donor"),
		pickUpA:  change(5, updated, "A", 3, "CLAIMED", "PICKED_UP", "carrier"),
		claimB:   change(6, claimed, "B", 2, "AVAILABLE", "CLAIMED", "ngo2"),
		deliverA: change(7, updated, "A", 4, "PICKED_UP", "DELIVERED", "carrier"),
	}
	e.Sights = append(e.Sights, left(e.Sights[claimA]), left(e.Sights[claimB]))
	all := []uint32{createA, claimA, createB, pickUpA, claimB, deliverA}
	e.Log = all
	e.Logs = map[string][]uint32{"donor": all, "ngo1": all, "ngo2": all, "carrier": all}
	e.Histories = map[string][]uint32{"A": {createA, claimA, pickUpA, deliverA}, "B": {createB, claimB}}
	ngo1, ngo2, carrier := "ngo1", "ngo2", "carrier"
	e.Rows = map[string]api.Donation{
		"A": {
			ID: "A", Version: 4, Status: "DELIVERED", DonorID: "donor", ClaimedByID: &ngo1, PickedUpBy: &carrier, DeliveredBy: &carrier,
			UpdatedAt: api.At(at(7)), Quantity: 5, Unit: "kg",
		},
		"B": {
			ID: "B", Version: 2, Status: "CLAIMED", DonorID: "donor", ClaimedByID: &ngo2, UpdatedAt: api.At(at(6)), Quantity: 5, Unit: "kg",
		},
	}
	capacity := 5.0
	e.Accounts = []verify.Account{
		{ID: "donor", Role: "DONOR", Karma: 50, ReadAt: at(9)},
		{ID: "ngo1", Role: "NGO", Karma: 30, ReadAt: at(9)},
		{ID: "ngo2", Role: "NGO", Karma: 10, Load: 5, Capacity: &capacity, Unit: "KG", ReadAt: at(9)},
		{ID: "carrier", Role: "VOLUNTEER", Karma: 50, ReadAt: at(9)},
	}
	e.Commands = []verify.Command{
		{Key: "1", By: "donor", Action: "create", Donation: "A", Version: 1},
		{Key: "2", By: "ngo1", Action: "claim", Donation: "A", Version: 2},
		{Key: "3", By: "donor", Action: "create", Donation: "B", Version: 1},
		{Key: "4", By: "carrier", Action: "pick up", Donation: "A", Version: 3},
		{Key: "5", By: "ngo2", Action: "claim", Donation: "B", Version: 2},
		{Key: "6", By: "ngo1", Action: "claim", Donation: "B", Refusal: "donation_not_available"},
		{Key: "7", By: "carrier", Action: "deliver", Donation: "A", Version: 4},
		{Key: "8", By: "carrier", Action: "deliver", Donation: "A", Version: 4}, // again: no refusal
		{Key: "5", By: "ngo2", Action: "claim", Donation: "B", Version: 2},      // its twin
	}
	e.Witnesses = []verify.Testimony{
		{Name: "all", Account: "ngo1", Notes: []verify.Note{
			{Kind: verify.NoteBegan, Position: position(0)}, saw(createA, 6),
		}},
		{Name: "late", Account: "ngo1", Notes: []verify.Note{
			{Kind: verify.NoteBegan, Position: position(2)},
			saw(createB, 2),
			{Kind: verify.NoteGap, Position: position(6), Reason: "window"},
			{Kind: verify.NoteSnapshot, Position: position(6), Items: []verify.Item{{"A", 4, "DELIVERED"}, {"B", 2, "CLAIMED"}}},
			saw(deliverA, 1),
		}},
		{Name: "narrow", Account: "ngo2", View: available, Notes: []verify.Note{
			{Kind: verify.NoteBegan, Position: position(1)},
			{Kind: verify.NoteSnapshot, Exact: true, Position: position(1), View: available, Items: []verify.Item{{"A", 1, "AVAILABLE"}}},
			saw(leftA, 1), saw(createB, 1),
			{Kind: verify.NoteSuspended},
			saw(leftB, 1),
		}},
	}
	e.Suspensions = []verify.Suspension{{Account: "ngo2", After: position(4), Heard: map[string]string{"narrow": position(3)}}}
	return e
}

// available is what the narrowed witness wants to hear of.
var available = &verify.View{Statuses: []string{"AVAILABLE"}, RadiusKm: 10, Lat: 38.7, Lng: -9.1}

func saw(first, count uint32) verify.Note {
	return verify.Note{Kind: verify.NoteSaw, First: first, Count: count}
}

func TestNothingIsWrongWhenAllIsWell(t *testing.T) {
	for _, v := range verify.Judge(evidence()) {
		t.Error(v)
	}
}

// What is an account's own, and what says nothing of a status, is heard too.
func TestEventsThatAreNoChanges(t *testing.T) {
	e := evidence()
	e.Sights = append(e.Sights,
		verify.Sight{Position: position(8), Name: "volunteer.assigned", Donation: "B", At: at(6), Told: verify.Told{To: "somebody"}, Sum: 8},
		verify.Sight{Position: position(9), Name: "donation.near_expiry", Donation: "B", Sum: 9})
	const assigned, near = 8, 9
	e.Log = append(slices.Clone(e.Log), near)
	for account, log := range e.Logs {
		e.Logs[account] = append(slices.Clone(log), near)
	}
	for _, party := range []string{"donor", "ngo2"} {
		e.Logs[party] = append(slices.Clone(e.Log[:6]), assigned, near)
	}
	e.Histories["B"] = append(e.Histories["B"], near)
	for i := range 2 {
		e.Witnesses[i].Notes = append(e.Witnesses[i].Notes, saw(near, 1))
	}
	e.Witnesses[2].Notes = append(e.Witnesses[2].Notes, saw(assigned, 1)) // B is not in view
	for _, v := range verify.Judge(e) {
		t.Error(v)
	}
	e.Witnesses[2].Notes = e.Witnesses[2].Notes[:len(e.Witnesses[2].Notes)-1]
	if got := strings.Join(verify.Judge(e), "\n"); !strings.Contains(got, "narrow: did not hear the last 1 of 5 events, from volunteer.assigned") {
		t.Errorf("got %q", got)
	}
}

// TestJudgeSeesEachFault: a checker that can't fail proves nothing.
func TestJudgeSeesEachFault(t *testing.T) {
	witness := func(i int, notes ...verify.Note) func(*verify.Evidence) {
		return func(e *verify.Evidence) {
			w := &e.Witnesses[i]
			w.Notes = append(w.Notes[:1:1], notes...)
		}
	}
	row := func(id string, change func(d *api.Donation)) func(*verify.Evidence) {
		return func(e *verify.Evidence) {
			d := e.Rows[id]
			change(&d)
			e.Rows[id] = d
		}
	}
	snapshot := func(items ...verify.Item) func(*verify.Evidence) {
		return func(e *verify.Evidence) { e.Witnesses[2].Notes[1].Items = items }
	}
	without := func(log []uint32, id uint32) []uint32 {
		return slices.DeleteFunc(slices.Clone(log), func(x uint32) bool { return x == id })
	}
	for _, c := range []struct {
		name  string
		spoil func(e *verify.Evidence)
		want  string
	}{
		{"a hole", witness(0, saw(createA, 1), saw(createB, 4)), "all: hole: 1 events are missing"},
		{"a duplicate", witness(0, saw(createA, 3), saw(createB, 4)), "all: duplicate"},
		{"wrong order", witness(0, saw(createA, 1), saw(createB, 1), saw(claimA, 1), saw(pickUpA, 3)), "all: wrong order"},
		{"the end is missing", witness(0, saw(createA, 4)), "all: did not hear the last 2 of 6 events"},
		{"nothing is heard", witness(0), "all: did not hear the last 6"},
		{"an event with another content", func(e *verify.Evidence) {
			s := e.Sights[claimB]
			s.By, s.Sum = "ngo1", 999
			e.Sights = append(e.Sights, s)
			e.Witnesses[0].Notes = []verify.Note{{Kind: verify.NoteBegan, Position: position(0)}, saw(createA, 4), saw(8, 1), saw(deliverA, 1)}
		}, "all: heard donation.claimed"},
		{"a gap without a good reason", func(e *verify.Evidence) { e.Witnesses[1].Notes[2].Reason = "ahead" }, `late: was told to start over because of "ahead"`},
		{"a gap within the window", func(e *verify.Evidence) { e.Oldest = position(5) }, `late: was told to start over because of "window", and the log has everything after ` + position(5)},
		{"a gap for no more than a replay takes", func(e *verify.Evidence) {
			e.Witnesses[1].Notes[2].Reason, e.Sights[claimB].Size = "limit", 8<<20
		}, `late: was told to start over because of "limit", and had missed 1 events`},
		{"a gap for a view that is kept", func(e *verify.Evidence) {
			e.Witnesses[1].Notes[2].Reason = "view"
			e.Witnesses[2].Account, e.Logs["ngo1"] = "ngo1", e.Logs["ngo2"]
			e.Witnesses[2].Notes = append(e.Witnesses[2].Notes, slices.Repeat([]verify.Note{{Kind: verify.NoteNarrowed, Position: position(7), View: available}}, 49)...)
		}, `late: was told to start over because of "view", and its account had narrowed 49 feeds`},
		{"a gap that goes back", func(e *verify.Evidence) { e.Witnesses[1].Notes[2].Position = position(3) }, "late: was told to start over at"},
		{"what a witness says itself", func(e *verify.Evidence) {
			e.Witnesses[0].Notes = append(e.Witnesses[0].Notes, verify.Note{Kind: verify.NoteFault, Reason: "heard nonsense"})
		}, "all: heard nonsense"},
		{"a narrowed feed that says it all", witness(2, saw(claimA, 2), saw(leftB, 1)), "narrow: heard donation.claimed"},
		{"a narrowed feed that does not say what left", witness(2, saw(createB, 1), saw(leftB, 1)), "narrow: hole: 1 events are missing"},
		{"a snapshot of an older time", func(e *verify.Evidence) {
			e.Witnesses[1].Notes[3].Items[1] = verify.Item{ID: "B", Version: 1, Status: "AVAILABLE"}
		}, "late: snapshot"},
		{"a snapshot without something", func(e *verify.Evidence) { e.Witnesses[1].Notes[3].Items = nil }, "late: snapshot at " + position(6) + ": lacks B"},
		{"a narrowed snapshot without something", snapshot(), "narrow: snapshot at " + position(1) + ": lacks A"},
		{"a narrowed snapshot ahead of its position", snapshot(verify.Item{ID: "A", Version: 2, Status: "CLAIMED"}), "has A as version 2"},
		{"a narrowed snapshot with something later", snapshot(verify.Item{ID: "A", Version: 1, Status: "AVAILABLE"}, verify.Item{ID: "B", Version: 1, Status: "AVAILABLE"}), "created later"},
		{"what came after a suspension", func(e *verify.Evidence) {
			e.Suspensions = []verify.Suspension{{Account: "ngo1", After: position(5), Heard: map[string]string{"all": position(6), "late": position(5)}}}
		}, "all: heard up to " + position(6) + ", and its account was suspended since " + position(5)},
		{"a refusal as suspended", func(e *verify.Evidence) {
			e.Suspensions = []verify.Suspension{{Account: "ngo2"}}
			e.Witnesses[0].Notes = append(e.Witnesses[0].Notes, verify.Note{Kind: verify.NoteSuspended})
		}, "all: was not let in as suspended, and its account never was"},
		{"a log that others do not have", func(e *verify.Evidence) { e.Logs["ngo2"] = without(e.Log, pickUpA) }, "log of ngo2 has other changes"},
		{"a log out of order", func(e *verify.Evidence) { e.Sights[claimB].Position = position(4) }, "comes after"},
		{"a log of two lives", func(e *verify.Evidence) { e.Sights[deliverA].Position = "zzzzzzzzzzzz-000000000008b" }, "epoch changes"},
		{"an event without its row", func(e *verify.Evidence) { delete(e.Rows, "B") }, "event without its row: donation B"},
		{"a row without its event", func(e *verify.Evidence) { e.Rows["C"] = api.Donation{ID: "C", Version: 1} }, "row without its event: donation C"},
		{"a change of a row without its event", row("B", func(d *api.Donation) { d.Version, d.Status = 3, "AVAILABLE" }), `donation B: version is "3" in the row and "2" in the log`},
		{"a row with another claimer", row("B", func(d *api.Donation) { d.ClaimedByID = new("ngo1") }), "donation B: claimer"},
		{"a row changed at another time", row("B", func(d *api.Donation) { d.UpdatedAt = api.At(at(8)) }), "donation B: time of the last change"},
		{"an event that is lost", func(e *verify.Evidence) { e.Log = without(e.Log, pickUpA) }, "follows version 2"},
		{"a step that is not allowed", func(e *verify.Evidence) {
			e.Sights[deliverA].Previous, e.Sights[pickUpA].Status = "AVAILABLE", "AVAILABLE"
		}, "from AVAILABLE that is not allowed"},
		{"a history with a hole", func(e *verify.Evidence) { e.Histories["A"] = without(e.Histories["A"], claimA) }, "history of A"},
		{"an acknowledged command that is lost", func(e *verify.Evidence) {
			e.Commands = append(e.Commands, verify.Command{Key: "9", By: "donor", Action: "create", Donation: "C", Version: 1})
		}, "acknowledged command is not in the log: create of C by donor"},
		{"an acknowledged command of somebody else", func(e *verify.Evidence) { e.Commands[4].By = "ngo1" }, "acknowledged command is not in the log: claim of B by ngo1"},
		{"two winners", func(e *verify.Evidence) { e.Commands[5].Refusal, e.Commands[5].Version = "", 2 }, "two winners"},
		{"two commands with one effect", func(e *verify.Evidence) {
			e.Commands = append(e.Commands, verify.Command{Key: "9", By: "carrier", Action: "pick up", Donation: "A", Version: 3})
		}, "two commands, one effect"},
		{"one key with two answers", func(e *verify.Evidence) { e.Commands[8].Version, e.Commands[8].Refusal = 0, "donation_not_available" }, "one key, two answers"},
		{"an event that nobody was told of", func(e *verify.Evidence) { e.Commands[6].Version, e.Commands[7].Version = 0, 0 }, "event that nobody was told of: donation.status.updated"},
		{"a refused command that was carried out", func(e *verify.Evidence) { e.Commands[3].Version, e.Commands[3].Refusal = 0, "invalid_transition" }, "event that nobody was told of"},
		{"a command without an answer", func(e *verify.Evidence) { e.Commands[5].Refusal, e.Commands[5].Trouble = "", "500" }, "command without a good answer"},
		{"too much karma", func(e *verify.Evidence) { e.Accounts[1].Karma += 10 }, "karma of NGO ngo1 is 40, and its history earns 30"},
		{"too little karma", func(e *verify.Evidence) { e.Accounts[3].Karma = 0 }, "karma of VOLUNTEER carrier is 0"},
		{"a wrong load", func(e *verify.Evidence) { e.Accounts[2].Load = 0 }, "intake load of ngo2 is 0, and its open claims of the day are 5"},
		{"a load of yesterday", func(e *verify.Evidence) { e.Accounts[2].ReadAt = noon.Add(24 * time.Hour) }, "intake load of ngo2 is 5, and its open claims of the day are 0"},
		{"more than the capacity", func(e *verify.Evidence) { e.Accounts[2].Capacity = new(4.0) }, "over capacity: ngo2"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e := evidence()
			c.spoil(e)
			if got := strings.Join(verify.Judge(e), "\n"); !strings.Contains(got, c.want) {
				t.Errorf("got\n%s\nwant something with\n%s", got, c.want)
			}
		})
	}
}

// Who missed more than a replay takes starts over.
func TestTooMuchToReplay(t *testing.T) {
	e := evidence()
	e.Witnesses[1].Notes[2].Reason, e.Sights[claimB].Size = "limit", 8<<20+1
	for _, v := range verify.Judge(e) {
		t.Errorf("in bytes: %s", v)
	}
	for _, n := range []int{9_999, 10_000} {
		e := evidence()
		for i := range n {
			e.Log = append(e.Log, uint32(len(e.Sights)))
			e.Sights = append(e.Sights, verify.Sight{Position: position(10 + i), Name: "donation.near_expiry", Donation: "B", Sum: uint64(1000 + i)})
		}
		for account := range e.Logs {
			e.Logs[account] = e.Log
		}
		e.Witnesses = e.Witnesses[:1]
		e.Witnesses[0].Notes = append(e.Witnesses[0].Notes, verify.Note{Kind: verify.NoteGap, Position: position(9 + n), Reason: "limit"})
		got := strings.Join(verify.Judge(e), "\n")
		if unfounded := strings.Contains(got, `because of "limit", and had missed 9999 events`); unfounded != (n < 10_000) {
			t.Errorf("%d events: %s", n, got)
		}
	}
}

// Of an account with so many views not all are kept.
func TestForgottenView(t *testing.T) {
	e := evidence()
	e.Witnesses[1].Notes[2].Reason = "view"
	w := verify.Testimony{Name: "many", Account: "ngo1", View: available, Notes: slices.Repeat([]verify.Note{{Kind: verify.NoteNarrowed, Position: position(7), View: available}}, 50)}
	w.Notes = append([]verify.Note{{Kind: verify.NoteBegan, Position: position(7)}}, w.Notes...)
	e.Witnesses = append(e.Witnesses, w)
	for _, v := range verify.Judge(e) {
		t.Error(v)
	}
}

// A claim that was given back and food that reached nobody earn nothing.
func TestKarmaIsTakenBack(t *testing.T) {
	const eight = 8 // B after its claim
	for _, c := range []struct {
		status     string
		donor, ngo int // karma that is right
	}{{"AVAILABLE", 50, 0}, {"CANCELLED", 40, 0}, {"EXPIRED", 40, 0}} {
		e := evidence()
		e.Sights = append(e.Sights[:eight:eight], verify.Sight{
			Position: position(8), Name: "donation.status.updated", Donation: "B", Version: 3, Previous: "CLAIMED", Status: c.status,
			By: "donor", At: noon.Add(8 * time.Second), Sum: 8,
		})
		e.Log = append(e.Log[:len(e.Log):len(e.Log)], uint32(len(e.Sights)-1))
		karma := func() (faults []string) {
			for _, v := range verify.Judge(e) {
				if strings.Contains(v, "karma of") {
					faults = append(faults, v)
				}
			}
			return faults
		}
		e.Accounts[0].Karma, e.Accounts[2].Karma = c.donor, c.ngo
		if got := karma(); len(got) != 0 {
			t.Errorf("%s: %s", c.status, strings.Join(got, "\n"))
		}
		e.Accounts[0].Karma, e.Accounts[2].Karma = c.donor+10, c.ngo+10
		if got := karma(); len(got) != 2 {
			t.Errorf("%s: kept karma is not seen: %q", c.status, got)
		}
	}
}

func TestManyFaultsAreBounded(t *testing.T) {
	e := evidence()
	for i := range 10_000 {
		e.Commands = append(e.Commands, verify.Command{Key: fmt.Sprint(i), By: "donor", Action: "create", Donation: fmt.Sprint("X", i), Version: 1})
	}
	got := verify.Judge(e)
	if len(got) > 100 || !strings.Contains(got[len(got)-1], "9950 more") {
		t.Errorf("%d violations, the last: %s", len(got), got[len(got)-1])
	}
}
