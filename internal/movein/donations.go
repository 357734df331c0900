package movein

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"larder/internal/account"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/store"
)

// Lengths are those of api.DonationDraft.
const (
	maxDescription  = 2000
	maxInstructions = 1000
)

// shelfLife is what the old form adds to the time of preparation, in hours.
var shelfLife = map[string]time.Duration{"cooked": 4, "raw": 24, "packaged": 720, "fruits": 48, "bakery": 24, "dairy": 48}

func (m *mover) donations(ctx context.Context, tx *store.Tx, batch []*entry) (wrote bool, err error) {
	var ids []string
	for _, e := range batch {
		ids = append(ids, e.id)
	}
	known, err := tx.StatusesByID(ctx, ids...)
	if err != nil {
		return false, err
	}
	awarded, err := tx.AwardsByDonation(ctx, ids...)
	if err != nil {
		return false, err
	}
	var drafts []eventlog.Draft
	for _, e := range batch {
		if !e.ok() {
			continue
		}
		d := m.donation(e)
		if !e.ok() {
			continue
		}
		l := &lot{donor: m.people[d.DonorID], claimer: m.people[d.ClaimedByID], delivered: d.Status == donation.Delivered}
		m.lots[d.ID] = l
		if status, ok := known[d.ID]; ok {
			l.delivered = l.delivered && status == donation.Delivered
			if e.here(""); status != d.Status {
				e.here(fmt.Sprintf("%s there, %s here", d.Status, status))
			}
			// What proves something there is what the ledger here has of it: the
			// donation has had a life here since, and its time may be over.
			m.prove(earned(d), func(a account.Award) bool { return slices.Contains(awarded[d.ID], a) })
			continue
		}
		m.overdue(e, &d)
		awards := earned(d)
		m.prove(awards, func(account.Award) bool { return true })
		if !m.Apply {
			continue
		}
		if err := tx.InsertDonation(ctx, d); err != nil {
			return wrote, err
		}
		for _, k := range awards {
			if _, err := tx.AwardKarma(ctx, d.ID, k.Award, k.at); err != nil {
				return wrote, err
			}
		}
		draft, err := imported(d, m.Now)
		if err != nil {
			return wrote, err
		}
		drafts, wrote = append(drafts, draft), true
	}
	if len(drafts) > 0 {
		_, err = tx.Append(ctx, drafts...)
	}
	return wrote, err
}

// imported is the first record of a donation that was not made here. Nobody is sent
// it; its history begins with it.
func imported(d donation.Donation, at time.Time) (eventlog.Draft, error) {
	payload, err := json.Marshal(map[string]any{"donationId": d.ID, "status": d.Status, "version": d.Version})
	return eventlog.Draft{Type: eventlog.TypeDonationImported, Subject: d.ID, Version: d.Version, Payload: payload, At: at}, err
}

// donation is the donation of a row.
func (m *mover) donation(e *entry) (d donation.Donation) {
	donor := m.people[e.Text("donorId")]
	if donor == nil {
		e.refuse("its donor is no account that was taken", e.Text("donorId"))
		return d
	}
	created := e.timeOr("createdAt", m.Now)
	d = donation.Donation{
		ID: e.id, DonorID: donor.ID, Version: 1, CreatedAt: created, UpdatedAt: created, Description: e.text("description", maxDescription),
		Address: e.text("address", maxPlace), SpecialInstructions: e.text("specialInstructions", maxInstructions),
	}
	d.FoodType = e.required("foodType", maxName, "other")
	d.Name = e.required("name", maxName, d.FoodType)
	d.Unit = e.required("unit", maxName, "unit")
	if d.DonorName = strings.TrimSpace(e.text("donorName", maxName)); d.DonorName == "" {
		d.DonorName = donor.DisplayName()
	}
	quantity, ok := e.number("quantity")
	if !ok || quantity < donation.MinQuantity || quantity > donation.MaxQuantity {
		e.refuse("its quantity is not between 0.1 and 1000000", e.Text("quantity"))
		return d
	}
	d.Quantity = quantity
	if d.Latitude, d.Longitude, ok = e.place(); !ok {
		if donor.Latitude == nil {
			e.refuse("its coordinates are no place, and its donor has none", e.Text("latitude")+", "+e.Text("longitude"))
			return d
		}
		d.Latitude, d.Longitude = *donor.Latitude, *donor.Longitude
		e.fix("its coordinates are no place: now those of its donor", e.Text("latitude")+", "+e.Text("longitude"))
	}
	m.times(e, &d)
	d.Hygiene = e.hygiene()
	d.ImageURLs = e.images()
	m.life(e, &d)
	return d
}

func (m *mover) times(e *entry, d *donation.Donation) {
	prepared := e.time("preparationTime")
	if d.PreparationTime = d.CreatedAt; prepared != nil {
		d.PreparationTime = *prepared
	} else if strings.TrimSpace(e.Text("preparationTime")) == "" {
		e.fix("it had no preparationTime: now that of its creation", "")
	}
	if expires := e.time("expiryTime"); expires != nil {
		d.ExpiryTime = *expires
		return
	}
	hours, ok := shelfLife[strings.ToLower(d.FoodType)]
	if !ok {
		hours = 24
	}
	d.ExpiryTime = d.PreparationTime.Add(hours * time.Hour)
	e.fix("it had no expiryTime: as the form has it, so many hours after its preparation", strconv.Itoa(int(hours))+" h")
}

func (e *entry) hygiene() json.RawMessage {
	raw := strings.TrimSpace(e.Text("hygiene"))
	object, fault := donation.ParseHygiene(json.RawMessage(raw))
	if fault != "" {
		e.fix("its hygiene is no object, and was left out", fmt.Sprintf("%.60q", raw))
	}
	return object
}

// between are the places between two addresses of a list that was joined by commas:
// a comma is part of an address unless another one begins after it.
var between = regexp.MustCompile(`(?i),\s*((?:https?|ftp|file|blob)://|data:|javascript:)`)

func (e *entry) images() (urls []string) {
	text := strings.TrimSpace(e.Text("imageUrls"))
	if text == "" {
		return nil
	}
	for u := range strings.SplitSeq(between.ReplaceAllString(text, "\x00$1"), "\x00") {
		u = strings.TrimSpace(u)
		switch {
		case u == "":
		case !donation.WebURL(u):
			e.fix("an image is no http or https address, and was left out", fmt.Sprintf("%.60q", u))
		case len(urls) == donation.MaxImages:
			e.fix("it had more than 5 images: the others were left out", fmt.Sprintf("%.60q", u))
		default:
			urls = append(urls, u)
		}
	}
	return urls
}

// life sets the status and who has a part in it.
func (m *mover) life(e *entry, d *donation.Donation) {
	claimer, carrier := m.people[e.Text("claimedById")], m.people[e.Text("volunteerId")]
	status := donation.Status(e.Text("status"))
	strangers := !e.Null("claimedById") && claimer == nil
	if strangers {
		e.fix("its claimer is no account that was taken", fmt.Sprintf("%.60q", e.Text("claimedById")))
	}
	if v := e.Text("volunteerId"); v != "" && carrier == nil {
		e.fix("its carrier is no account that was taken", fmt.Sprintf("%.60q", v))
	}
	if claimer != nil && status != donation.Available {
		d.ClaimedByID = claimer.ID
	}
	switch status {
	case donation.Available:
	case donation.Claimed:
		if claimer == nil {
			status = donation.Available
			e.fix("was CLAIMED by nobody: AVAILABLE again", "")
		}
	case donation.PickedUp:
		if claimer == nil {
			status = m.nobody(e, d)
			break
		}
		d.PickedUpAt = e.time("pickedUpAt")
		carry(d, carrier, claimer)
	case donation.Delivered:
		if claimer == nil && !strangers {
			status = m.nobody(e, d)
			break
		}
		d.PickedUpAt, d.DeliveredAt = e.time("pickedUpAt"), e.time("deliveredAt")
		if d.DeliveredAt != nil {
			d.UpdatedAt = *d.DeliveredAt
		}
		carry(d, carrier, claimer)
		d.DeliveredBy = d.PickedUpBy
	case donation.Expired:
		d.UpdatedAt = d.ExpiryTime
	default:
		e.refuse("its status is none of ours", string(status))
	}
	d.Status = status
}

// overdue ends a donation that nobody has fetched in time.
func (m *mover) overdue(e *entry, d *donation.Donation) {
	if (d.Status == donation.Available || d.Status == donation.Claimed) && !m.Now.Before(d.ExpiryTime) {
		e.fix("its time was over: EXPIRED", string(d.Status))
		d.Status, d.UpdatedAt = donation.Expired, d.ExpiryTime
	}
}

// nobody ends a donation that was marked as fetched or brought although nobody had
// claimed it: it reached nobody, and must not count as if it had.
func (m *mover) nobody(e *entry, d *donation.Donation) donation.Status {
	was := e.Text("status")
	d.CancelReason = "moved in: it was marked as " + was + ", and nobody had claimed it"
	e.fix("was marked as fetched or delivered, and nobody had claimed it: CANCELLED", was)
	return donation.Cancelled
}

// carry sets who carries: whoever picked up there, else the claimer.
func carry(d *donation.Donation, carrier, claimer *person) {
	if carrier == nil {
		carrier = claimer
	}
	if carrier == nil {
		return
	}
	if d.PickedUpBy = carrier.ID; carrier.Role == account.Volunteer {
		d.VolunteerID = carrier.ID
	}
}

// points is karma that a donation proves, and since when.
type points struct {
	account.Award
	at time.Time
}

// prove counts the awards that are, or will be, in the ledger here.
func (m *mover) prove(list []points, here func(account.Award) bool) {
	for _, k := range list {
		if here(k.Award) {
			m.people[k.AccountID].proven += k.Reason.Points()
		}
	}
}

// earned is the karma that the rules of here give for a donation as it stands:
// nothing for what came to nothing.
func earned(d donation.Donation) (list []points) {
	give := func(id string, why account.Reason, at time.Time) {
		if id != "" {
			list = append(list, points{account.Award{AccountID: id, Reason: why}, at})
		}
	}
	if d.Status == donation.Expired || d.Status == donation.Cancelled {
		return nil
	}
	give(d.DonorID, account.ReasonCreate, d.CreatedAt)
	give(d.ClaimedByID, account.ReasonClaim, d.CreatedAt)
	if d.Status == donation.Delivered {
		give(d.DonorID, account.ReasonDonate, d.UpdatedAt)
		give(d.ClaimedByID, account.ReasonNGODelivery, d.UpdatedAt)
		give(d.VolunteerID, account.ReasonCarry, d.UpdatedAt)
	}
	return list
}
