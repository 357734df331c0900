package donation_test

import (
	"strings"
	"testing"

	"larder/internal/donation"
)

func TestCarries(t *testing.T) {
	for _, status := range donation.Statuses() {
		d := donation.Donation{Status: status, DonorID: "donor", ClaimedByID: "ngo", AssignedVolunteerID: "proposed", PickedUpBy: "carrier"}
		for _, id := range []string{"", "donor", "ngo", "proposed", "carrier", "stranger"} {
			want := status == donation.Claimed && id == "proposed" || status == donation.PickedUp && id == "carrier"
			if got := d.Carries(id); got != want {
				t.Errorf("%s, %q: got %t, want %t", status, id, got, want)
			}
		}
		if (donation.Donation{Status: status}).Carries("") {
			t.Errorf("%s: nobody carries it, and that is nobody's right", status)
		}
	}
}

func TestFollowersAreNamedOnce(t *testing.T) {
	for carrier, want := range map[string]string{"volunteer": "donor ngo volunteer", "ngo": "donor ngo"} {
		d := donation.Donation{DonorID: "donor", ClaimedByID: "ngo"}
		if got := strings.Join(d.Followers(carrier), " "); got != want {
			t.Errorf("%s: got %s, want %s", carrier, got, want)
		}
	}
	if got := (donation.Donation{DonorID: "donor"}).Followers("donor"); len(got) != 1 {
		t.Errorf("got %q", got)
	}
}
