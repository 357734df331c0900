package httpapi

import (
	"context"
	"strings"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/command"
	"larder/internal/problem"
	"larder/internal/query"
)

// Keyed is the input of every request that changes something. It is exported, as
// all that inputs embed has to be: huma passes over what it can't set.
type Keyed struct {
	Key string `header:"Idempotency-Key" maxLength:"200" doc:"The same key, caller and body give the same answer, once."`
}

func (k Keyed) by(ctx context.Context) command.By {
	return command.By{AccountID: caller(ctx).ID, Key: k.Key}
}

// body is the output of a route.
type body[T any] struct{ Body T }

type registerInput struct {
	Keyed
	Body api.Registration
}

func (a *API) register(ctx context.Context, in *registerInput) (*body[api.Envelope[api.Session]], error) {
	if err := a.auth.Admit(infoFrom(ctx).address); err != nil {
		return nil, err
	}
	r := in.Body
	acc, err := a.commands.Register(ctx, in.Key, command.NewAccount{
		Email: r.Email, Password: r.Password, Name: r.Name, Role: account.Role(r.Role), Phone: r.Phone,
		OrganizationName: r.OrganizationName, OrganizationType: r.OrganizationType, Address: r.Address,
		Certificate: strings.Join(keptFiles(ctx), ""), CertificateURL: r.CertificateURL,
	})
	if err != nil {
		return nil, err
	}
	return a.session(acc, "Registered")
}

type loginInput struct{ Body api.Login }

func (a *API) login(ctx context.Context, in *loginInput) (*body[api.Envelope[api.Session]], error) {
	acc, err := a.auth.Login(ctx, in.Body.Email, in.Body.Password, infoFrom(ctx).address)
	if err != nil {
		return nil, err
	}
	return a.session(acc, "Signed in")
}

func (a *API) session(acc account.Account, message string) (*body[api.Envelope[api.Session]], error) {
	token, _, err := a.auth.Tokens.Issue(acc, time.Now())
	if err != nil {
		return nil, err
	}
	return &body[api.Envelope[api.Session]]{api.Envelope[api.Session]{
		Success: true, Message: message, Data: api.Session{Token: token, User: user(acc)},
	}}, nil
}

func (a *API) profile(ctx context.Context, _ *struct{}) (*body[api.Profile], error) {
	p, err := a.queries.Profile(ctx, caller(ctx).ID)
	if err != nil {
		return nil, problem.NotFound(err, problem.ErrUserNotFound)
	}
	return &body[api.Profile]{a.profileOf(ctx, p)}, nil
}

type profileInput struct {
	Keyed
	Body api.ProfileUpdate
}

func (a *API) updateProfile(ctx context.Context, in *profileInput) (*body[api.Envelope[api.Profile]], error) {
	u := in.Body
	p, err := a.commands.UpdateProfile(ctx, in.by(ctx), command.ProfileChange{
		Name: u.Name, Phone: u.Phone, OrganizationName: u.OrganizationName, OrganizationType: u.OrganizationType,
		Address: u.Address, Latitude: u.Latitude, Longitude: u.Longitude, Capacity: u.DailyIntakeCapacity,
		CapacityUnit: u.CapacityUnit, VehicleType: u.VehicleType, VehicleNumber: u.VehicleNumber, Available: u.IsAvailable,
	})
	if err != nil {
		return nil, err
	}
	return &body[api.Envelope[api.Profile]]{api.Envelope[api.Profile]{
		Success: true, Data: a.profileOf(ctx, p), Message: "Profile updated",
	}}, nil
}

func (a *API) pendingNGOs(ctx context.Context, in *Paged) (*paged[api.PendingNGO], error) {
	return pageOf(in, "/admin/pending-ngos", query.MaxList, func(p query.Paging) ([]query.PendingNGO, string, error) {
		return a.queries.PendingNGOs(ctx, p)
	}, func(n query.PendingNGO) api.PendingNGO {
		return api.PendingNGO{
			ID: n.ID, Email: n.Email, Name: n.Name, OrganizationName: api.Text(n.OrganizationName),
			Phone: api.Text(n.Phone), Address: api.Text(n.Address), CreatedAt: api.At(n.CreatedAt),
			CertificateURL: a.certificateURL(ctx, n.ID, n.Certificate),
		}
	})
}

func (a *API) users(ctx context.Context, in *Paged) (*paged[api.AdminUser], error) {
	return pageOf(in, "/admin/users", query.MaxList, func(p query.Paging) ([]account.Account, string, error) {
		return a.queries.Users(ctx, p)
	}, adminUser)
}

func adminUser(u account.Account) api.AdminUser {
	return api.AdminUser{
		ID: u.ID, Email: u.Email, Role: string(u.Role), IsVerified: u.Verified, IsActive: u.Active, Name: u.Name,
		OrganizationName: api.Text(u.OrganizationName), CreatedAt: api.At(u.CreatedAt),
	}
}

type userInput struct {
	Keyed
	ID string `path:"id"`
}

func (a *API) verifyNGO(ctx context.Context, in *userInput) (*body[api.Verified], error) {
	acc, err := administered(ctx, in, a.commands.Verify)
	if err != nil {
		return nil, err
	}
	return &body[api.Verified]{api.Verified{Message: acc.DisplayName() + " is verified", User: user(acc)}}, nil
}

func (a *API) toggleStatus(ctx context.Context, in *userInput) (*body[api.Toggled], error) {
	acc, err := administered(ctx, in, a.commands.ToggleActive)
	if err != nil {
		return nil, err
	}
	message := "User suspended"
	if acc.Active {
		message = "User restored"
	}
	return &body[api.Toggled]{api.Toggled{Message: message, IsActive: acc.Active}}, nil
}

func administered(ctx context.Context, in *userInput,
	do func(context.Context, command.By, string) (account.Account, error),
) (account.Account, error) {
	id, ok := parseID(in.ID)
	if !ok {
		return account.Account{}, problem.ErrUserNotFound
	}
	acc, err := do(ctx, in.by(ctx), id)
	return acc, problem.NotFound(err, problem.ErrUserNotFound)
}

func user(a account.Account) api.User {
	return api.User{ID: a.ID, Email: a.Email, Name: a.Name, Role: string(a.Role), IsVerified: a.Verified}
}

// profileOf is a profile as its owner sees it. Karma alone decides badges and level;
// the link to a certificate is made for this answer.
func (a *API) profileOf(ctx context.Context, p query.Profile) api.Profile {
	level, missing := account.Level(p.Karma)
	catalog := make([]api.Badge, 0, len(account.Badges()))
	for _, b := range account.Badges() {
		catalog = append(catalog, api.Badge{
			ID: b.ID, Name: b.Name, Icon: b.Icon, Description: b.Description, Earned: p.Karma >= b.Points, Requirement: b.Points,
		})
	}
	return api.Profile{
		User: user(p.Account), OrganizationName: api.Text(p.OrganizationName), OrganizationType: api.Text(p.OrganizationType),
		Phone: api.Text(p.Phone), Address: api.Text(p.Address), Latitude: p.Latitude, Longitude: p.Longitude,
		IsActive: p.Active, DailyIntakeCapacity: p.Capacity, CurrentIntakeLoad: p.IntakeLoad,
		CapacityUnit: api.Text(p.CapacityUnit), CertificateURL: a.certificateURL(ctx, p.ID, p.Certificate), VehicleType: api.Text(p.VehicleType), VehicleNumber: api.Text(p.VehicleNumber),
		IsAvailable: p.Available, TrustScore: p.Ratings.Mean(), KarmaPoints: p.Karma, Badges: account.Earned(p.Karma),
		BadgeCatalog: catalog, Level: level, NextLevelPoints: missing, ImpactStats: p.Impact,
		CreatedAt: api.At(p.CreatedAt), UpdatedAt: api.At(p.UpdatedAt),
	}
}
