package donation

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"larder/internal/account"
)

// Action is what a command does to a donation that exists.
type Action string

// The actions.
const (
	Claim   Action = "claim"
	Release Action = "release"
	PickUp  Action = "pick up"
	Deliver Action = "deliver"
	Cancel  Action = "cancel"
	Expire  Action = "expire"
)

// Actions are all actions.
func Actions() []Action { return []Action{Claim, Release, PickUp, Deliver, Cancel, Expire} }

// transitions is the whole life of a donation: from a status, which action leads
// to which status. What is not here is refused.
var transitions = map[Status]map[Action]Status{
	Available: {Claim: Claimed, Cancel: Cancelled, Expire: Expired},
	Claimed:   {Release: Available, PickUp: PickedUp, Cancel: Cancelled, Expire: Expired},
	PickedUp:  {Deliver: Delivered},
	Delivered: {},
	Expired:   {},
	Cancelled: {},
}

// roles are those that can ever give a command. Which of them may give it for
// one donation is decided by party.
var roles = map[Action][]account.Role{
	Claim:   {account.NGO},
	Release: {account.NGO, account.Admin},
	PickUp:  {account.Volunteer, account.NGO, account.Admin},
	Deliver: {account.Volunteer, account.NGO, account.Admin},
	Cancel:  {account.Donor, account.Admin},
	Expire:  {account.System},
}

// Command is an action with what it needs to be decided.
type Command struct {
	Action              Action
	By                  account.Actor
	ByName              string         // how to call him in texts
	Reason              string         // Cancel: required; Release: optional
	EstimatedPickupTime *time.Time     // Claim: optional
	Intake              account.Intake // Claim: the NGO's capacity and load
	Volunteer           string         // Claim: to whom the trip is proposed; empty: nobody
}

// ActionFor returns the action that leads to a wanted status, for clients that
// name the status instead of the command.
func ActionFor(want Status) Action {
	switch want {
	case Available:
		return Release
	case Claimed:
		return Claim
	case PickedUp:
		return PickUp
	case Delivered:
		return Deliver
	case Cancelled:
		return Cancel
	case Expired:
		return Expire
	}
	return ""
}

// Decide runs a command on d at the moment now. It returns what happened or a
// refusal of type *Refusal; d itself is not changed.
//
// Rights come before state, so that an account without the right learns nothing
// from the answer. A delivery repeated by whoever made it changes nothing and
// is no refusal.
func (d Donation) Decide(c Command, now time.Time) (Outcome, error) {
	if err := d.authorise(c); err != nil {
		return Outcome{}, err
	}
	if c.Action == Deliver && d.Status == Delivered && d.DeliveredBy == c.By.ID {
		return Outcome{Donation: d}, nil
	}
	to, err := d.next(c, now)
	if err != nil {
		return Outcome{}, err
	}
	if c.Action == Claim {
		if err := c.Intake.Admit(d.Quantity, d.Unit); err != nil {
			return Outcome{}, intakeRefusal(err, d, c.Intake)
		}
	}
	if c.Action == Cancel && strings.TrimSpace(c.Reason) == "" {
		return Outcome{}, refuse(CodeValidation, "reason is required to cancel a donation")
	}
	after := d.apply(c, to, now)
	e := Event{Type: EventStatusUpdated, Previous: d.Status, By: c.By.ID, ByName: c.ByName, Reason: c.Reason, At: now, Before: d, After: after}
	if c.Action == Claim {
		e.Type = EventClaimed
	}
	return Outcome{Donation: after, Events: []Event{e}, Awards: awards(c, after), TakesBack: takesBack(c)}, nil
}

// authorise refuses who may not give the command for this donation, whatever
// its state.
func (d Donation) authorise(c Command) error {
	if !slices.Contains(roles[c.Action], c.By.Role) {
		return refuse(CodeWrongRole, fmt.Sprintf("%s can't %s", c.By.Role, object(c.Action, "a donation")))
	}
	if !c.By.Active {
		return refuse(CodeSuspended, "Account is suspended")
	}
	switch c.Action {
	case Claim:
		if !c.By.Verified {
			return refuse(CodeNGONotVerified, "NGO must be verified by an admin before it can claim")
		}
	case Cancel:
		if c.By.Role == account.Donor && d.DonorID != c.By.ID {
			return refuse(CodeNotYours, "Only the donor of a donation may cancel it")
		}
	case Release, PickUp:
		// Unclaimed: there is nobody whose it is, and the state refuses below.
		if c.By.Role == account.NGO && d.ClaimedByID != "" && d.ClaimedByID != c.By.ID {
			return refuse(CodeNotYours, "Only the NGO that claimed a donation may "+object(c.Action, "it"))
		}
	case Deliver:
		carrier := d.PickedUpBy == c.By.ID
		if c.By.Role == account.NGO && d.ClaimedByID != "" && d.ClaimedByID != c.By.ID {
			return refuse(CodeNotYours, "Only the NGO that claimed a donation may deliver it")
		}
		// Before the pick-up there is no carrier: then the state refuses below.
		if c.By.Role == account.Volunteer && !carrier && d.PickedUpBy != "" {
			return refuse(CodeNotYours, "Only the carrier of a donation may deliver it")
		}
	case Expire:
	}
	return nil
}

// object puts what an action is done to into its name: "pick it up".
func object(a Action, what string) string {
	verb, particle, ok := strings.Cut(string(a), " ")
	if !ok {
		return verb + " " + what
	}
	return verb + " " + what + " " + particle
}

// next returns the status that the command leads to, or why it can't.
func (d Donation) next(c Command, now time.Time) (Status, error) {
	from := d.StatusAt(now)
	if c.Action == Expire {
		// The clock writes down what StatusAt already says, and only that.
		if from == d.Status {
			return "", transitionRefusal(d.Status, Expired)
		}
		return Expired, nil
	}
	if to, ok := transitions[from][c.Action]; ok {
		return to, nil
	}
	switch {
	case c.Action == Claim && from == Expired:
		return "", refuse(CodeExpired, "Donation has expired")
	case c.Action == Claim:
		return "", refuse(CodeNotAvailable, "Donation is not available for claiming")
	case c.Action == PickUp && from == PickedUp:
		return "", refuse(CodeInvalidTransition, "Donation is PICKED_UP: another carrier already has it; from PICKED_UP it can become DELIVERED")
	}
	return "", transitionRefusal(from, target(c.Action))
}

// target is the status that an action aims at.
func target(a Action) Status {
	for _, from := range Statuses() {
		if to, ok := transitions[from][a]; ok {
			return to
		}
	}
	return ""
}

// apply returns d after the command; next has agreed to it.
func (d Donation) apply(c Command, to Status, now time.Time) Donation {
	d.Status = to
	d.Version++
	d.UpdatedAt = now
	switch c.Action {
	case Claim:
		d.ClaimedByID, d.ClaimedAt, d.EstimatedPickupTime = c.By.ID, &now, c.EstimatedPickupTime
		d.AssignedVolunteerID = c.Volunteer
	case Release:
		d.ClaimedByID, d.ClaimedAt, d.EstimatedPickupTime, d.AssignedVolunteerID = "", nil, nil, ""
	case PickUp:
		d.PickedUpAt, d.PickedUpBy = &now, c.By.ID
		if c.By.Role == account.Volunteer {
			d.VolunteerID = c.By.ID
		}
	case Deliver:
		d.DeliveredAt, d.DeliveredBy = &now, c.By.ID
	case Cancel:
		d.CancelReason = c.Reason
	case Expire:
	}
	return d
}

// awards are the karma that a command earns. The ledger keeps one row for each
// donation, account and reason, so that nothing is earned twice.
func awards(c Command, after Donation) []account.Award {
	switch c.Action {
	case Claim:
		return []account.Award{
			{AccountID: after.DonorID, Reason: account.ReasonCreate}, // unless it was lent
			{AccountID: c.By.ID, Reason: account.ReasonClaim},
		}
	case Deliver:
		a := []account.Award{
			{AccountID: after.DonorID, Reason: account.ReasonDonate},
			{AccountID: after.ClaimedByID, Reason: account.ReasonNGODelivery},
		}
		if after.VolunteerID != "" {
			a = append(a, account.Award{AccountID: after.VolunteerID, Reason: account.ReasonCarry})
		}
		return a
	}
	return nil
}

// takesBack are the reasons whose karma a command takes back. Food that reached
// nobody, and a claim that was given back, earn nothing: else listing and
// cancelling, or claiming and releasing, would be a way to the top (ADR 0015).
func takesBack(c Command) []account.Reason {
	switch c.Action {
	case Release:
		return []account.Reason{account.ReasonClaim}
	case Cancel, Expire:
		return []account.Reason{account.ReasonCreate, account.ReasonClaim}
	}
	return nil
}
