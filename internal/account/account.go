// Package account holds the rules about people and organisations: roles,
// verification, suspension, what an NGO can take in, karma, badges and levels.
//
// It is pure: no clock, no storage, no goroutine; every value is plain data and
// every function may be called from anywhere. It imports the standard library
// only.
package account

import (
	"errors"
	"fmt"
	"sort"
	"strings"
	"time"
	"unicode"
)

// Role says what an account may do. The texts are those of the wire.
type Role string

// The roles. System is the actor of changes that the clock makes; no account
// has it.
const (
	Donor     Role = "DONOR"
	NGO       Role = "NGO"
	Volunteer Role = "VOLUNTEER"
	Admin     Role = "ADMIN"
	System    Role = "SYSTEM"
)

// ParseRole returns the role of that name, which an account can have.
func ParseRole(s string) (Role, error) {
	switch r := Role(s); r {
	case Donor, NGO, Volunteer, Admin:
		return r, nil
	default:
		return "", fmt.Errorf("role %.20q is not one of DONOR, NGO, VOLUNTEER, ADMIN", s)
	}
}

// SystemID is the id of the actor System.
const SystemID = "system"

// Actor is who asks for a command, as the store knows the account at that moment.
type Actor struct {
	ID       string
	Role     Role
	Verified bool
	Active   bool
}

// SystemActor is the clock.
func SystemActor() Actor { return Actor{ID: SystemID, Role: System, Verified: true, Active: true} }

// Account is a person or an organisation. It holds no secret: the password hash
// never leaves the store except to be verified.
type Account struct {
	ID               string
	Email            string // as typed; compared by EmailKey
	Name             string
	Role             Role
	Verified         bool
	Active           bool
	OrganizationName string
	OrganizationType string
	Phone            string
	Address          string
	Latitude         *float64
	Longitude        *float64
	Capacity         *float64 // daily intake of an NGO in CapacityUnit; nil: no limit
	CapacityUnit     string
	VehicleType      string
	VehicleNumber    string
	Available        bool      // a volunteer who takes trips now
	TokensAfter      time.Time // tokens issued up to this second are refused; zero: none are
	Deleted          bool      // only history points to it
	CreatedAt        time.Time
	UpdatedAt        time.Time
}

// Actor returns what the rules need to know of a.
func (a Account) Actor() Actor {
	return Actor{ID: a.ID, Role: a.Role, Verified: a.Verified, Active: a.Active}
}

// DisplayName is the organisation, or the name where there is none.
func (a Account) DisplayName() string {
	if a.OrganizationName != "" {
		return a.OrganizationName
	}
	return a.Name
}

// EmailKey is the form in which e-mail addresses are compared: without case and
// without surrounding space.
func EmailKey(email string) string { return strings.ToLower(strings.TrimSpace(email)) }

// Refusals of commands on accounts.
var (
	ErrSuspended    = errors.New("account is suspended")
	ErrNotAdmin     = errors.New("only an admin may do this")
	ErrAdminTarget  = errors.New("an admin can't be suspended here")
	ErrNotNGO       = errors.New("only an NGO can be verified")
	ErrAdminByForm  = errors.New("an admin account can't be registered")
	ErrUnitMismatch = errors.New("donation is in another unit than the NGO's capacity")
	ErrOverCapacity = errors.New("donation exceeds what the NGO can still take in today")
)

// Register refuses the roles that nobody can give himself, and says whether a
// new account of the role starts verified. Only an NGO waits for an admin.
func Register(r Role) (verified bool, err error) {
	if r == Admin || r == System {
		return false, ErrAdminByForm
	}
	return r != NGO, nil
}

// Verify decides whether by may verify the account target.
func Verify(by Actor, target Account) error {
	if by.Role != Admin || !by.Active {
		return ErrNotAdmin
	}
	if target.Role != NGO {
		return ErrNotNGO
	}
	return nil
}

// Suspend decides whether by may suspend the account target or take a
// suspension back.
func Suspend(by Actor, target Account) error {
	if by.Role != Admin || !by.Active {
		return ErrNotAdmin
	}
	if target.Role == Admin {
		return ErrAdminTarget
	}
	return nil
}

// Intake is what an NGO can take in a day and what it has taken today.
type Intake struct {
	Capacity *float64 // nil: no limit
	Unit     string   // empty: any unit
	Load     float64  // sum of today's open claims, in Unit
}

// Admit says whether another quantity in unit fits: ErrUnitMismatch or
// ErrOverCapacity if it does not. Units are compared without case and space.
func (i Intake) Admit(quantity float64, unit string) error {
	if i.Capacity == nil {
		return nil
	}
	if i.Unit != "" && !SameUnit(i.Unit, unit) {
		return ErrUnitMismatch
	}
	// A sum of tenths is never exact: 0.1 and 0.2 fill 0.3.
	if i.Load+quantity > *i.Capacity+1e-9*max(1, *i.Capacity) {
		return ErrOverCapacity
	}
	return nil
}

// SameUnit compares two units without case and surrounding space.
func SameUnit(a, b string) bool {
	return strings.EqualFold(strings.TrimSpace(a), strings.TrimSpace(b))
}

// DayStart is the moment at which the day of now began in the place loc: the
// daily intake counts from there. Where clocks change at midnight there is none,
// or two, and time.Date may answer with another hour: so it is looked for.
func DayStart(now time.Time, loc *time.Location) time.Time {
	const span = 3 * time.Hour
	today := dayNumber(now, loc)
	y, m, d := now.In(loc).Date()
	from := time.Date(y, m, d, 0, 0, 0, 0, loc).Add(-span)
	seconds := sort.Search(int(2*span/time.Second), func(i int) bool {
		return dayNumber(from.Add(time.Duration(i)*time.Second), loc) >= today
	})
	return from.Add(time.Duration(seconds) * time.Second)
}

// dayNumber orders the dates of a place.
func dayNumber(at time.Time, loc *time.Location) int {
	y, m, d := at.In(loc).Date()
	return (y*100+int(m))*100 + d
}

// ValidEmail says whether s has the form of one plain e-mail address: no display
// name, no space, a dot or not in the domain. Whether it exists only mail can tell.
func ValidEmail(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && local != "" && domain != "" && len(s) <= 254 && !strings.Contains(domain, "@") &&
		!strings.ContainsFunc(s, func(r rune) bool {
			return unicode.IsSpace(r) || unicode.IsControl(r) || strings.ContainsRune(`<>(),;:"\[]`, r)
		})
}
