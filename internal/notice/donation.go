package notice

import (
	"cmp"
	"strconv"

	"larder/internal/account"
	"larder/internal/donation"
)

// Of says who is told what of an event: each party once, and not who did it.
func Of(e donation.Event) []Notice {
	w := writer{e: e, told: map[string]bool{"": true, e.By: true}}
	d := e.After
	switch {
	case e.Type == donation.EventCreated:
		w.newFood()
	case e.Type == donation.EventClaimed:
		w.claimed()
	case e.Type == donation.EventNearExpiry:
		w.nearExpiry()
	case e.Type != donation.EventStatusUpdated:
	case d.Status == donation.PickedUp:
		w.pickedUp()
	case d.Status == donation.Delivered:
		w.delivered()
	case d.Status == donation.Available:
		w.released()
	case d.Status == donation.Cancelled:
		w.cancelled()
	case d.Status == donation.Expired:
		w.expired()
	}
	return w.list
}

// writer gathers the notices of one event.
type writer struct {
	e    donation.Event
	told map[string]bool // accounts that are told, or need not be
	list []Notice
}

// tell adds a notice for an account, unless it is told already.
func (w *writer) tell(to, kind, title, message string) {
	if w.told[to] {
		return
	}
	w.told[to] = true
	w.list = append(w.list, Notice{Type: kind, Title: title, Message: message, To: to, DonationID: w.e.After.ID})
}

// food names the donation with its amount: Bread (5 kg).
func (w *writer) food() string {
	d := w.e.After
	return d.Name + " (" + strconv.FormatFloat(d.Quantity, 'f', -1, 64) + " " + d.Unit + ")"
}

// by names who did it.
func (w *writer) by() string { return cmp.Or(w.e.ByName, "Somebody") }

// because adds the reason, where one was given.
func (w *writer) because() string {
	if w.e.Reason == "" {
		return ""
	}
	return " Reason: " + w.e.Reason
}

// at names where the food is, where an address was given.
func (w *writer) at() string {
	if w.e.After.Address == "" {
		return ""
	}
	return " at " + w.e.After.Address
}

func (w *writer) newFood() {
	d := w.e.After
	w.list = append(w.list, Notice{
		Type: TypeNewFood, Title: "New food available", Message: d.DonorName + " offers " + w.food() + w.at() + ".",
		Roles: []account.Role{account.NGO, account.Volunteer}, DonationID: d.ID,
	})
}

func (w *writer) claimed() {
	d := w.e.After
	w.tell(d.DonorID, TypeFoodClaimed, "Your food was claimed", w.by()+" has claimed "+w.food()+".")
	w.tell(d.AssignedVolunteerID, TypePickupAssigned, "A pick-up is proposed to you",
		w.by()+" has claimed "+w.food()+". Can you pick it up"+w.at()+"?")
}

func (w *writer) nearExpiry() {
	d := w.e.After
	text := w.food() + " expires within an hour"
	if d.ClaimedByID == "" {
		w.tell(d.DonorID, TypeNearExpiry, "Your food expires soon", text+", and nobody has claimed it.")
		return
	}
	w.tell(d.DonorID, TypeNearExpiry, "Your food expires soon", text+". It is claimed, and not picked up yet.")
	w.tell(d.ClaimedByID, TypeNearExpiry, "Food that you claimed expires soon", text+". It is not picked up yet.")
}

func (w *writer) pickedUp() {
	d := w.e.After
	text := w.by() + " has picked up " + w.food() + "."
	w.tell(d.DonorID, TypePickedUp, "Your food was picked up", text)
	w.tell(d.ClaimedByID, TypePickedUp, "Your food is on its way", text)
	w.tell(d.AssignedVolunteerID, TypePickedUp, "Somebody else has gone", text+" You need not go.")
}

func (w *writer) delivered() {
	d := w.e.After
	w.tell(d.DonorID, TypeDelivered, "Your food was delivered", w.food()+" has arrived. Thank you.")
	w.tell(d.ClaimedByID, TypeDelivered, "Delivery confirmed", w.by()+" has delivered "+w.food()+".")
	w.tell(d.PickedUpBy, TypeDelivered, "Delivery confirmed", w.by()+" confirms that "+w.food()+" has arrived. Thank you.")
}

func (w *writer) released() {
	was := w.e.Before
	w.tell(was.DonorID, TypeReleased, "A claim was given back",
		w.by()+" has given back the claim of "+w.food()+". It is available again."+w.because())
	w.tell(was.ClaimedByID, TypeReleased, "Your claim was given back", w.by()+" has given back your claim of "+w.food()+"."+w.because())
	w.notNeeded(TypeReleased, "The claim of "+w.food()+" was given back.")
}

func (w *writer) cancelled() {
	text := w.by() + " has cancelled " + w.food() + "." + w.because()
	w.tell(w.e.After.DonorID, TypeCancelled, "Your donation was cancelled", text)
	w.tell(w.e.Before.ClaimedByID, TypeCancelled, "Food that you claimed was cancelled", text)
	w.notNeeded(TypeCancelled, w.food()+" was cancelled.")
}

func (w *writer) expired() {
	was := w.e.Before
	if was.ClaimedByID == "" {
		w.tell(was.DonorID, TypeExpired, "Your food has expired", "Nobody claimed "+w.food()+" in time.")
		return
	}
	text := w.food() + " was not picked up in time."
	w.tell(was.DonorID, TypeExpired, "Your food has expired", text)
	w.tell(was.ClaimedByID, TypeExpired, "Food that you claimed has expired", text)
	w.notNeeded(TypeExpired, text)
}

// notNeeded tells the volunteer to whom the trip was proposed that there is none.
func (w *writer) notNeeded(kind, why string) {
	w.tell(w.e.Before.AssignedVolunteerID, kind, "A pick-up is not needed any more", why+" You need not go.")
}

// Badges says what an account is told whose karma rose from one sum to another by
// a donation: one notice for each badge that it earned.
func Badges(accountID, donationID string, before, after int) []Notice {
	var list []Notice
	for _, b := range account.BadgesBetween(before, after) {
		list = append(list, Notice{
			Type: TypeBadge, Title: "New badge: " + b.Label(), Message: b.Description + ". You have " + strconv.Itoa(after) + " karma points.",
			To: accountID, DonationID: donationID,
		})
	}
	return list
}
