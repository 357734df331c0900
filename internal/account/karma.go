package account

// Reason is why karma was given. One row of the ledger exists for each donation,
// account and reason at most.
type Reason string

// The reasons and their points. Those for a listing and a claim are taken back when
// nothing comes of it.
const (
	ReasonCreate      Reason = "create"       // 10, donor: listed food
	ReasonClaim       Reason = "claim"        // 10, NGO: took it
	ReasonNGODelivery Reason = "ngo_delivery" // 20, NGO: got it
	ReasonCarry       Reason = "carry"        // 50, volunteer: brought it
	ReasonDonate      Reason = "donate"       // 30, donor: it was delivered
	// ReasonImport is what an account brought along from another system beyond what its
	// donations prove: one row without a donation, with as many points as it takes.
	ReasonImport Reason = "import"
)

// LeastPoints is the least that a reason gives, save ReasonImport, which is once for
// an account.
const LeastPoints = 10

// Points returns the karma for a reason.
func (r Reason) Points() int {
	switch r {
	case ReasonCreate, ReasonClaim:
		return 10
	case ReasonNGODelivery:
		return 20
	case ReasonCarry:
		return 50
	case ReasonDonate:
		return 30
	}
	return 0
}

// Award is one row of the karma ledger.
type Award struct {
	AccountID string
	Reason    Reason
}

// Badge is a reward for karma.
type Badge struct {
	ID          string
	Name        string
	Icon        string
	Description string
	Points      int
}

// MostBadgePoints is what the dearest badge takes: more karma earns no other.
const MostBadgePoints = 500

// Badges are all badges, cheapest first.
func Badges() []Badge {
	return []Badge{
		{"1", "Newcomer", "🌱", "First steps in food rescue", 10},
		{"2", "Local Hero", "🦸", "Known in the neighbourhood", 50},
		{"3", "Champion", "🏆", "Somebody to count on", 150},
		{"4", "Legend", "⭐", "A pillar of food rescue", 300},
		{"5", "Superhero", "💫", "Beyond what anybody asked for", MostBadgePoints},
	}
}

// Label is how a badge stands in the list of earned ones: icon, space, name.
func (b Badge) Label() string { return b.Icon + " " + b.Name }

// Earned returns the labels of the badges that so many points earn.
func Earned(points int) []string {
	labels := []string{}
	for _, b := range Badges() {
		if points >= b.Points {
			labels = append(labels, b.Label())
		}
	}
	return labels
}

// BadgesBetween returns the badges that karma earns by rising from one sum to
// another, cheapest first.
func BadgesBetween(before, after int) (earned []Badge) {
	for _, b := range Badges() {
		if before < b.Points && b.Points <= after {
			earned = append(earned, b)
		}
	}
	return earned
}

// Level returns the level of so many points, 1 to 5, and the points still
// missing for the next, 0 at the highest.
func Level(points int) (level, missing int) {
	for i, bound := range []int{100, 250, 500, 1000} {
		if points < bound {
			return i + 1, bound - points
		}
	}
	return 5, 0
}
