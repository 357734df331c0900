package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/google/uuid"

	"larder/api"
	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/donation"
	"larder/internal/eventlog"
	"larder/internal/notice"
	"larder/internal/query"
	"larder/internal/store"
)

// registrant is the caller of a registration, who has no account yet: keys of
// registrations live in a space of their own.
const registrant = "register"

// NewAccount is what somebody says who wants an account.
type NewAccount struct {
	Email            string
	Password         string `json:"-"` // never part of a fingerprint or an answer
	Name             string
	Role             account.Role
	Phone            string
	OrganizationName string
	OrganizationType string
	Address          string
	Certificate      string // the name of a kept file; empty: none
	CertificateURL   string // empty: none
}

func (n NewAccount) faults(minPassword int) []string {
	var f []string
	if !account.ValidEmail(strings.TrimSpace(n.Email)) {
		f = append(f, "email must be an e-mail address")
	}
	if len(n.Password) < minPassword || len(n.Password) > auth.MaxPassword {
		f = append(f, fmt.Sprintf("password must have %d to %d bytes", minPassword, auth.MaxPassword))
	}
	if strings.TrimSpace(n.Name) == "" {
		f = append(f, "name must not be blank")
	}
	if n.CertificateURL != "" && !donation.WebURL(n.CertificateURL) {
		f = append(f, "certificateUrl must be an http or https address")
	}
	return f
}

// Register adds an account that somebody asked for. An NGO starts unverified;
// ADMIN is account.ErrAdminByForm. A repetition with the same key has to bring
// the same password, and the account to be there, else it is ErrKeyReused.
func (s *Service) Register(ctx context.Context, key string, n NewAccount) (account.Account, error) {
	verified, err := account.Register(n.Role)
	if err != nil {
		return account.Account{}, err
	}
	hash, err := s.prepare(ctx, n, auth.MinPasswordByForm)
	if err != nil {
		return account.Account{}, err
	}
	by := By{AccountID: registrant, Key: key}
	a, replayed, err := execute(ctx, s, by, "register", n, func(tx *store.Tx) (account.Account, error) {
		return insertAccount(ctx, tx, n, verified, hash)
	})
	if err == nil && replayed {
		return a, s.prove(ctx, a.ID, n)
	}
	return a, err
}

// prove lets only somebody with the password of the account have the answer of its
// registration. Once it is deleted nobody has, and the e-mail may be another's.
func (s *Service) prove(ctx context.Context, id string, n NewAccount) error {
	var owner account.Account
	var hash string
	err := s.store.View(ctx, func(tx *store.Tx) (err error) {
		owner, hash, err = tx.Credentials(ctx, n.Email)
		return err
	})
	switch {
	case errors.Is(err, store.ErrNotFound), err == nil && owner.ID != id:
		return ErrKeyReused
	case err != nil:
		return err
	}
	ok, _, err := s.passwords.Verify(ctx, hash, n.Password)
	if err == nil && !ok {
		return ErrKeyReused
	}
	return err
}

// AddUser adds an account for the operator: any role, verified at once.
func (s *Service) AddUser(ctx context.Context, n NewAccount) (account.Account, error) {
	hash, err := s.prepare(ctx, n, auth.MinPassword)
	if err != nil {
		return account.Account{}, err
	}
	a, _, err := execute(ctx, s, By{AccountID: account.SystemID}, "add user", n, func(tx *store.Tx) (account.Account, error) {
		return insertAccount(ctx, tx, n, true, hash)
	})
	return a, err
}

// EnsureAdmin adds the operator's admin account unless the e-mail is known already,
// and says whether it did. An account that is there is returned as it is, with
// whatever role: whoever chose its password did not choose it for an admin.
func (s *Service) EnsureAdmin(ctx context.Context, email, password string) (a account.Account, added bool, err error) {
	a, err = s.AddUser(ctx, NewAccount{Email: email, Password: password, Name: "Administrator", Role: account.Admin})
	if !errors.Is(err, store.ErrEmailTaken) {
		return a, err == nil, err
	}
	err = s.store.View(ctx, func(tx *store.Tx) error {
		a, _, err = tx.Credentials(ctx, email)
		return err
	})
	return a, false, err
}

// prepare checks a new account and hashes its password, outside any transaction
// because hashing is slow on purpose.
func (s *Service) prepare(ctx context.Context, n NewAccount, minPassword int) (hash string, err error) {
	if f := n.faults(minPassword); len(f) > 0 {
		return "", &donation.Refusal{Code: donation.CodeValidation, Messages: f}
	}
	return s.passwords.Hash(ctx, n.Password)
}

func insertAccount(ctx context.Context, tx *store.Tx, n NewAccount, verified bool, hash string) (account.Account, error) {
	id, err := uuid.NewV7()
	if err != nil {
		return account.Account{}, fmt.Errorf("account id: %w", err)
	}
	at := now()
	a := account.Account{
		ID: id.String(), Email: strings.TrimSpace(n.Email), Name: strings.TrimSpace(n.Name), Role: n.Role,
		Verified: verified, Active: true, OrganizationName: strings.TrimSpace(n.OrganizationName),
		OrganizationType: n.OrganizationType, Phone: n.Phone, Address: n.Address, CreatedAt: at, UpdatedAt: at,
	}
	if err := tx.InsertAccount(ctx, a, hash); err != nil {
		return account.Account{}, err
	}
	if n.Certificate != "" || n.CertificateURL != "" {
		c := store.Certificate{File: n.Certificate, URL: n.CertificateURL}
		if err := tx.SaveCertificate(ctx, a.ID, c, at); err != nil {
			return account.Account{}, fileGone(err)
		}
	}
	return a, appendAccount(ctx, tx, eventlog.TypeAccountRegistered, a)
}

// appendAccount logs a change of rights. Nobody's feed shows it: the nodes read
// it to adjust live sockets.
func appendAccount(ctx context.Context, tx *store.Tx, what string, a account.Account) error {
	payload, err := json.Marshal(map[string]any{"id": a.ID, "role": a.Role, "verified": a.Verified, "active": a.Active})
	if err != nil {
		return fmt.Errorf("payload of %s: %w", what, err)
	}
	_, err = tx.Append(ctx, eventlog.Draft{Type: what, Subject: a.ID, Payload: payload, At: a.UpdatedAt})
	return err
}

// ProfileChange is what an account changes about itself; what is nil or not given
// stays. Without omitzero a fingerprint could not tell what stays from what goes.
type ProfileChange struct {
	Name, Phone, OrganizationName, OrganizationType, Address *string
	Latitude, Longitude                                      api.Nullable[float64] `json:",omitzero"`
	Capacity                                                 api.Nullable[float64] `json:",omitzero"` // null: no limit
	CapacityUnit, VehicleType, VehicleNumber                 *string
	Available                                                *bool
}

// placeFault says what is wrong with the place, which is set or cleared as a whole.
func (c ProfileChange) placeFault() string {
	switch lat, lng := c.Latitude, c.Longitude; {
	case lat.Given && !lng.Given:
		return "longitude must come with latitude"
	case lng.Given && !lat.Given:
		return "latitude must come with longitude"
	case lat.Value == nil && lng.Value != nil:
		return "latitude must be a number when longitude is one"
	case lat.Value != nil && lng.Value == nil:
		return "longitude must be a number when latitude is one"
	}
	return ""
}

// UpdateProfile changes what an account says about itself. What adds up for it is
// part of the answer, so it is read here and not after the commit.
func (s *Service) UpdateProfile(ctx context.Context, by By, c ProfileChange) (query.Profile, error) {
	if fault := c.placeFault(); fault != "" {
		return query.Profile{}, &donation.Refusal{Code: donation.CodeValidation, Messages: []string{fault}}
	}
	p, _, err := execute(ctx, s, by, "update profile", c, func(tx *store.Tx) (p query.Profile, err error) {
		a, err := actor(ctx, tx, by.AccountID)
		if err != nil {
			return p, err
		}
		set(&a.Name, c.Name)
		set(&a.Phone, c.Phone)
		set(&a.OrganizationName, c.OrganizationName)
		set(&a.OrganizationType, c.OrganizationType)
		set(&a.Address, c.Address)
		set(&a.CapacityUnit, c.CapacityUnit)
		set(&a.VehicleType, c.VehicleType)
		set(&a.VehicleNumber, c.VehicleNumber)
		set(&a.Available, c.Available)
		replace(&a.Latitude, c.Latitude)
		replace(&a.Longitude, c.Longitude)
		replace(&a.Capacity, c.Capacity)
		if strings.TrimSpace(a.Name) == "" {
			return p, &donation.Refusal{Code: donation.CodeValidation, Messages: []string{"name must not be blank"}}
		}
		if err := saveAccount(ctx, tx, eventlog.TypeAccountUpdated, &a); err != nil {
			return p, err
		}
		return query.ProfileIn(ctx, tx, a.ID, a.UpdatedAt, s.place)
	})
	return p, err
}

func set[T any](dst, src *T) {
	if src != nil {
		*dst = *src
	}
}

func replace[T any](dst **T, by api.Nullable[T]) {
	if by.Given {
		*dst = by.Value
	}
}

func saveAccount(ctx context.Context, tx *store.Tx, what string, a *account.Account) error {
	a.UpdatedAt = now()
	if err := tx.UpdateAccount(ctx, *a); err != nil {
		return err
	}
	return appendAccount(ctx, tx, what, *a)
}

// Verify lets an NGO claim. It is the admin's word that the organisation exists;
// a repetition changes nothing.
func (s *Service) Verify(ctx context.Context, by By, id string) (account.Account, error) {
	return s.administer(ctx, by, "verify", id, func(admin account.Actor, a *account.Account) (string, []notice.Notice, error) {
		if err := account.Verify(admin, *a); err != nil || a.Verified {
			return "", nil, err
		}
		a.Verified = true
		return eventlog.TypeAccountVerified, []notice.Notice{notice.Verified(a.ID)}, nil
	})
}

// ToggleActive suspends an account or takes its suspension back.
func (s *Service) ToggleActive(ctx context.Context, by By, id string) (account.Account, error) {
	return s.administer(ctx, by, "toggle active", id, func(admin account.Actor, a *account.Account) (string, []notice.Notice, error) {
		if err := account.Suspend(admin, *a); err != nil {
			return "", nil, err
		}
		a.Active = !a.Active
		if a.Active {
			return eventlog.TypeAccountRestored, nil, nil
		}
		return eventlog.TypeAccountSuspended, nil, nil
	})
}

// administer runs an admin's change of another account. change returns the type
// of the record, or nothing when there is nothing to do, and what is told of it.
func (s *Service) administer(ctx context.Context, by By, what, id string,
	change func(admin account.Actor, a *account.Account) (record string, told []notice.Notice, err error),
) (account.Account, error) {
	a, _, err := execute(ctx, s, by, what, id, func(tx *store.Tx) (account.Account, error) {
		admin, err := actor(ctx, tx, by.AccountID)
		if err != nil {
			return account.Account{}, err
		}
		if admin.Role != account.Admin {
			return account.Account{}, account.ErrNotAdmin
		}
		a, err := tx.Account(ctx, id)
		if err != nil {
			return a, err
		}
		record, told, err := change(admin.Actor(), &a)
		if err != nil || record == "" {
			return a, err
		}
		if err := saveAccount(ctx, tx, record, &a); err != nil {
			return a, err
		}
		return a, write(ctx, tx, a.UpdatedAt, nil, told)
	})
	return a, err
}
