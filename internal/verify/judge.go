package verify

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"larder/api"
)

// Evidence is everything that a run brought together.
type Evidence struct {
	Sights []Sight // by number

	// Log is the log as an admin reads it, and Logs as each account of the run
	// does, oldest first. Whole says that it was read from its beginning: without
	// it, donations that are older are not judged.
	Log   []uint32
	Logs  map[string][]uint32
	Whole bool

	// Oldest is the position of the oldest event that the server still has.
	Oldest string

	Rows      map[string]api.Donation // by id
	Histories map[string][]uint32     // by donation
	Accounts  []Account
	Commands  []Command
	Witnesses []Testimony

	Suspensions []Suspension

	// Told says that the server stores and tells notifications: then nobody may be
	// left out.
	Told bool

	// Place is where the day of the daily capacity begins.
	Place *time.Location
}

// Account is an account of the run as its profile shows it in the end.
type Account struct {
	ID, Role string
	Karma    int // earned in the run
	Load     float64
	Capacity *float64
	Unit     string
	ReadAt   time.Time

	// Available is a volunteer who was free for trips, at a place, through all of the
	// run. The other ones never were.
	Available bool
}

// Actions of commands.
const (
	actCreate  = "create"
	actClaim   = "claim"
	actRelease = "release"
	actPickUp  = "pick up"
	actDeliver = "deliver"
	actCancel  = "cancel"
)

// Command is a command of a writer and how it was answered in the end.
type Command struct {
	Key      string
	By       string // account
	Action   string
	Donation string // empty: it was to create one and was not answered
	Version  int64  // that it made, as acknowledged; 0: it was refused, or see Trouble
	Refusal  string // code
	Trouble  string // there was no answer, or one that no such command may have
}

func (c Command) String() string { return fmt.Sprintf("%s of %s by %s", c.Action, c.Donation, c.By) }

// most bounds the violations of one kind of question that are told.
const most = 50

// verdict gathers violations.
type verdict struct {
	told []string
	more int
}

func (v *verdict) add(format string, args ...any) {
	if len(v.told) >= most {
		v.more++
		return
	}
	v.told = append(v.told, fmt.Sprintf(format, args...))
}

func (v *verdict) all() []string {
	if v.more > 0 {
		return append(v.told, fmt.Sprintf("… and %d more of this kind", v.more))
	}
	return v.told
}

// Judge says in words what contradicts the promise. Nothing is a good answer.
func Judge(e *Evidence) []string {
	return slices.Concat(judgeLog(e), judgeBoard(e), judgeCommands(e), judgeAccounts(e), judgeHistories(e), judgeTold(e),
		judgeProposals(e), judgeNearExpiry(e), judgeSuspensions(e), judgeWitnesses(e))
}

// judgeSuspensions looks whether anybody heard what came after the suspension of the
// account.
func judgeSuspensions(e *Evidence) []string {
	var v verdict
	for _, s := range e.Suspensions {
		for _, w := range slices.Sorted(maps.Keys(s.Heard)) {
			if heard := s.Heard[w]; heard > s.After {
				v.add("%s: heard up to %s, and its account was suspended since %s", w, heard, s.After)
			}
		}
	}
	return v.all()
}

// public are the events that every account gets.
var public = []string{api.EventDonationCreated, api.EventDonationClaimed, api.EventDonationStatusUpdated}

func isChange(s Sight) bool { return slices.Contains(public, s.Name) }

// epoch is the life of the log that a position belongs to (P-7).
func epoch(position string) string {
	name, _, _ := strings.Cut(position, "-")
	return name
}

// judgeLog looks at the log alone: in order, in one life, the same for everybody.
func judgeLog(e *Evidence) []string {
	var v verdict
	ordered := func(whose string, log []uint32) {
		for i := 1; i < len(log); i++ {
			a, b := e.Sights[log[i-1]].Position, e.Sights[log[i]].Position
			if epoch(a) != epoch(b) {
				v.add("log of %s: epoch changes between %s and %s", whose, a, b)
			} else if b <= a {
				v.add("log of %s: %s comes after %s", whose, b, a)
			}
		}
	}
	changes := func(log []uint32) []uint32 {
		return slices.DeleteFunc(slices.Clone(log), func(id uint32) bool { return !isChange(e.Sights[id]) })
	}
	ordered("the admin", e.Log)
	want := changes(e.Log)
	for account, log := range e.Logs {
		ordered(account, log)
		if got := changes(log); !slices.Equal(got, want) {
			v.add("log of %s has other changes of donations than that of the admin: %d, want %d", account, len(got), len(want))
		}
	}
	return v.all()
}

// place is an event's place in the life of its donation.
type place struct {
	donation string
	version  int64
}

// changesOf are the changes of donations in the log by their place.
func changesOf(e *Evidence) map[place]Sight {
	all := make(map[place]Sight, len(e.Log))
	for _, id := range e.Log {
		if s := e.Sights[id]; isChange(s) {
			all[place{s.Donation, s.Version}] = s
		}
	}
	return all
}

// effect is what a command does when it is carried out.
func effect(action string) (event, status string) {
	switch action {
	case actCreate:
		return api.EventDonationCreated, "AVAILABLE"
	case actClaim:
		return api.EventDonationClaimed, "CLAIMED"
	case actRelease:
		return api.EventDonationStatusUpdated, "AVAILABLE"
	case actPickUp:
		return api.EventDonationStatusUpdated, "PICKED_UP"
	case actDeliver:
		return api.EventDonationStatusUpdated, "DELIVERED"
	case actCancel:
		return api.EventDonationStatusUpdated, "CANCELLED"
	}
	return "", ""
}

// judgeCommands compares what was acknowledged with the log: each command that was
// acknowledged is there, once, and nothing else is there.
func judgeCommands(e *Evidence) []string {
	var v verdict
	changes := changesOf(e)
	told := map[place]Command{}    // who was told that he made a change
	answer := map[string]Command{} // by account and key
	open := map[string]bool{}      // commands without an answer may have been carried out
	for _, c := range e.Commands {
		key := c.By + " " + c.Key
		if first, again := answer[key]; again && (first.Version != c.Version || first.Donation != c.Donation || first.Refusal != c.Refusal) {
			v.add("one key, two answers: %s: version %d %s, then version %d %s", c, first.Version, first.Refusal, c.Version, c.Refusal)
			continue
		}
		switch {
		case c.Trouble != "":
			v.add("command without a good answer: %s: %s", c, c.Trouble)
			open[c.By] = true
			continue
		case c.Refusal != "":
			answer[key] = c
			continue
		}
		at := place{c.Donation, c.Version}
		event, status := effect(c.Action)
		if s, ok := changes[at]; !ok || s.Name != event || s.Status != status || s.By != c.By {
			v.add("acknowledged command is not in the log: %s, version %d", c, c.Version)
		}
		other, taken := told[at]
		switch same := other.Key == c.Key && other.By == c.By; {
		case !taken || same:
		case c.Action == actDeliver && other.By == c.By: // the same actor again is no refusal
		case c.Action == actClaim && other.Action == actClaim:
			v.add("two winners: %s and %s were both told that they claimed %s as version %d", other.By, c.By, c.Donation, c.Version)
		default:
			v.add("two commands, one effect: %s and %s, version %d", other, c, c.Version)
		}
		told[at], answer[key] = c, c
	}
	ours := map[string]bool{}
	for _, a := range e.Accounts {
		ours[a.ID] = true
	}
	for _, id := range e.Log {
		s := e.Sights[id]
		if _, ok := told[place{s.Donation, s.Version}]; !ok && isChange(s) && ours[s.By] && !open[s.By] {
			v.add("event that nobody was told of: %s", s)
		}
	}
	return v.all()
}

// String names an event in a report.
func (s Sight) String() string {
	text := fmt.Sprintf("%s at %s, donation %s", s.Name, s.Position, s.Donation)
	if s.Version > 0 {
		text += fmt.Sprintf(" version %d", s.Version)
	}
	if s.Status != "" {
		text += " " + s.Status
	}
	return text
}

// judgeHistories compares each donation's own history with the log.
func judgeHistories(e *Evidence) []string {
	var v verdict
	own := map[string][]uint32{}
	for _, id := range e.Log {
		d := e.Sights[id].Donation
		own[d] = append(own[d], id)
	}
	for donation, got := range e.Histories {
		// A history also has what only some may see.
		got = slices.DeleteFunc(slices.Clone(got), func(id uint32) bool { return !isChange(e.Sights[id]) })
		want := slices.DeleteFunc(slices.Clone(own[donation]), func(id uint32) bool { return !isChange(e.Sights[id]) })
		if !slices.Equal(got, want) {
			v.add("history of %s has %d changes and is not what the log says: %d", donation, len(got), len(want))
		}
	}
	return v.all()
}
