package donation

import (
	"time"

	"larder/internal/account"
)

// NearExpiryLead is how long before its expiry a donation is announced to expire
// soon (P-13): time enough to fetch it, and the last moment at which clients that
// are older than Larder expect it. Food that spoils fast is listed with more than
// that left (HighRiskWindow), so that it is always announced.
const NearExpiryLead = time.Hour

// NearExpiry says whether it is to be announced at now that d expires soon, and
// returns the announcement. It is due once in a donation's life, NearExpiryLead
// before the expiry or as soon after it as somebody looks, while d is available
// or claimed and has not expired. A donation listed with no more than that left
// is never announced: its creation has just said when it expires.
//
// Status, version and the time of the last change stay as they are.
func (d Donation) NearExpiry(now time.Time) (Event, bool) {
	from := d.ExpiryTime.Add(-NearExpiryLead)
	status := d.StatusAt(now)
	if d.NearExpiryAt != nil || now.Before(from) || !d.CreatedAt.Before(from) || (status != Available && status != Claimed) {
		return Event{}, false
	}
	d.NearExpiryAt = &now
	return Event{Type: EventNearExpiry, Previous: d.Status, By: account.SystemID, At: now, After: d}, true
}
