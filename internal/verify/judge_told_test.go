package verify_test

import (
	"slices"
	"strings"
	"testing"

	"larder/internal/verify"
)

// toldEvidence is the good run with all that was told of it: each event is followed
// by notifications, whose numbers begin at firstTold.
func toldEvidence() (e *verify.Evidence, told map[string]uint32) {
	e = evidence()
	e.Told, e.Witnesses = true, nil
	told = map[string]uint32{}
	seq := 20
	logs := map[string][]uint32{}
	for account := range e.Logs {
		logs[account] = slices.Clone(e.Log)
	}
	add := func(name string, s verify.Sight, cause uint32, accounts ...string) {
		seq++
		s.Position, s.Sum, s.Donation, s.At = position(seq), uint64(seq), e.Sights[cause].Donation, e.Sights[cause].At
		if s.Name == "" {
			s.Name = "notification"
		}
		s.Told.ID = name
		told[name] = uint32(len(e.Sights))
		for _, a := range accounts {
			logs[a] = append(logs[a], told[name])
		}
		e.Sights = append(e.Sights, s)
	}
	tell := func(name, kind string, cause uint32, to string) {
		add(name, verify.Sight{Told: verify.Told{To: to, Kind: kind}}, cause, to)
	}
	for name, cause := range map[string]uint32{"new A": createA, "new B": createB} {
		add(name, verify.Sight{Told: verify.Told{Kind: "new_food_nearby"}}, cause, "ngo1", "ngo2", "carrier")
	}
	e.Accounts[3].Available = true
	add("proposed A", verify.Sight{Name: "volunteer.assigned", Told: verify.Told{To: "carrier"}}, claimA, "carrier", "ngo1", "donor")
	tell("pick A up", "pickup_assigned", claimA, "carrier")
	add("proposed", verify.Sight{Name: "volunteer.assigned", Told: verify.Told{To: "carrier"}}, claimB, "carrier", "ngo2", "donor")
	tell("badge", "badge_earned", createA, "donor")
	tell("claimed A", "food_claimed", claimA, "donor")
	tell("picked up, donor", "food_picked_up", pickUpA, "donor")
	tell("picked up, claimer", "food_picked_up", pickUpA, "ngo1")
	tell("claimed B", "food_claimed", claimB, "donor")
	tell("pick it up", "pickup_assigned", claimB, "carrier")
	tell("delivered, donor", "delivery_confirmed", deliverA, "donor")
	tell("delivered, claimer", "delivery_confirmed", deliverA, "ngo1")
	e.Logs = logs
	return e, told
}

func TestWhatWasToldIsJudged(t *testing.T) {
	e, _ := toldEvidence()
	for _, v := range verify.Judge(e) {
		t.Error(v)
	}
	for _, c := range []struct {
		name  string
		spoil func(e *verify.Evidence, told map[string]uint32)
		want  string
	}{
		{"a donor is left out", func(e *verify.Evidence, told map[string]uint32) {
			e.Logs["donor"] = slices.DeleteFunc(e.Logs["donor"], func(id uint32) bool { return id == told["claimed A"] })
		}, "told 0 times, not 1: food_claimed of donation A"},
		{"one of a role is left out", func(e *verify.Evidence, told map[string]uint32) {
			e.Logs["ngo2"] = slices.DeleteFunc(e.Logs["ngo2"], func(id uint32) bool { return id == told["new A"] })
		}, "told 0 times, not 1: new_food_nearby of donation A"},
		{"told twice", func(e *verify.Evidence, told map[string]uint32) {
			s := e.Sights[told["claimed A"]]
			s.Position, s.Sum, s.Told.ID = position(90), 90, "again"
			e.Sights = append(e.Sights, s)
			e.Logs["donor"] = append(e.Logs["donor"], uint32(len(e.Sights)-1))
		}, "told 2 times, not 1: food_claimed of donation A"},
		{"one notification twice", func(e *verify.Evidence, told map[string]uint32) {
			s := e.Sights[told["pick it up"]]
			s.Position, s.Sum = position(90), 90
			e.Sights = append(e.Sights, s)
			e.Logs["carrier"] = append(e.Logs["carrier"], uint32(len(e.Sights)-1))
		}, "has the notification pick it up twice"},
		{"another account's", func(e *verify.Evidence, told map[string]uint32) {
			e.Logs["ngo1"] = append(e.Logs["ngo1"], told["claimed B"])
		}, "is for donor"},
		{"a role's to a donor", func(e *verify.Evidence, told map[string]uint32) {
			e.Logs["donor"] = append(e.Logs["donor"], told["new B"])
		}, "is for roles, and not for a DONOR"},
		{"another kind to roles", func(e *verify.Evidence, told map[string]uint32) {
			e.Sights[told["new B"]].Told.Kind = "food_claimed"
		}, "is for roles, and not for a NGO"},
		{"no part in it", func(e *verify.Evidence, told map[string]uint32) {
			s := &e.Sights[told["delivered, claimer"]]
			s.Told.To = "ngo2"
			e.Logs["ngo2"] = append(e.Logs["ngo2"], told["delivered, claimer"])
		}, "tells who has no part in it"},
		{"who did it", func(e *verify.Evidence, told map[string]uint32) {
			s := &e.Sights[told["picked up, donor"]]
			s.Told.To = "carrier"
			e.Logs["carrier"] = append(e.Logs["carrier"], told["picked up, donor"])
		}, "tells who did it"},
		{"of no change", func(e *verify.Evidence, told map[string]uint32) {
			e.Sights[told["delivered, donor"]].At = at(99)
		}, "belongs to no change of the donation"},
		{"before the change", func(e *verify.Evidence, told map[string]uint32) {
			e.Sights[told["badge"]].Position = position(0)
		}, "belongs to no change of the donation"},
		{"of another change", func(e *verify.Evidence, told map[string]uint32) {
			e.Sights[told["pick it up"]].Told.Kind = "delivery_confirmed"
		}, "belongs to no change of the donation"},
		{"a proposal to a stranger", func(e *verify.Evidence, told map[string]uint32) {
			e.Logs["ngo1"] = append(e.Logs["ngo1"], told["proposed"])
		}, "log of ngo1 has volunteer.assigned at " + position(25) + ", donation B 1 times, not 0"},
		{"a proposal that the claimer is not told", func(e *verify.Evidence, told map[string]uint32) {
			e.Logs["ngo2"] = slices.DeleteFunc(e.Logs["ngo2"], func(id uint32) bool { return id == told["proposed"] })
		}, "log of ngo2 has volunteer.assigned at " + position(25) + ", donation B 0 times, not 1"},
		{"a proposal without its notification", func(e *verify.Evidence, told map[string]uint32) {
			e.Logs["carrier"] = slices.DeleteFunc(e.Logs["carrier"], func(id uint32) bool { return id == told["pick it up"] })
		}, "told 0 times, not 1: pickup_assigned of donation B"},
		{"a proposal to who is not free", func(e *verify.Evidence, _ map[string]uint32) { e.Accounts[3].Available = false }, "who is not free for it"},
		{"a proposal of no claim", func(e *verify.Evidence, told map[string]uint32) { e.Sights[told["proposed"]].At = at(99) }, "belongs to no claim"},
		{"a proposal before its claim", func(e *verify.Evidence, told map[string]uint32) {
			e.Sights[told["proposed"]].Position = position(4)
		}, "belongs to no claim"},
		{"a claim without a proposal", func(e *verify.Evidence, told map[string]uint32) {
			for account, log := range e.Logs {
				e.Logs[account] = slices.DeleteFunc(log, func(id uint32) bool { return id == told["proposed A"] })
			}
		}, "0 trips were proposed for donation.claimed"},
		{"two proposals of one claim", func(e *verify.Evidence, told map[string]uint32) {
			s := e.Sights[told["proposed"]]
			s.Position, s.Sum, s.Told.ID = position(90), 90, "again"
			e.Sights = append(e.Sights, s)
			for _, account := range []string{"carrier", "ngo2", "donor"} {
				e.Logs[account] = append(e.Logs[account], uint32(len(e.Sights)-1))
			}
		}, "2 trips were proposed for donation.claimed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			e, told := toldEvidence()
			c.spoil(e, told)
			if got := strings.Join(verify.Judge(e), "\n"); !strings.Contains(got, c.want) {
				t.Errorf("got\n%s\nwant something with\n%s", got, c.want)
			}
		})
	}
}
