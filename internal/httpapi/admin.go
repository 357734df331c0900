package httpapi

import (
	"context"

	"larder/api"
	"larder/internal/command"
	"larder/internal/problem"
	"larder/internal/query"
	"larder/internal/voice"
)

func (a *API) allDonations(ctx context.Context, in *Paged) (*paged[api.AdminDonation], error) {
	return pageOf(in, "/admin/donations", query.MaxList, func(p query.Paging) ([]api.AdminDonation, string, error) {
		return a.queries.AllDonations(ctx, p)
	}, func(d api.AdminDonation) api.AdminDonation { return d })
}

func (a *API) allFlags(ctx context.Context, in *Paged) (*paged[api.Flag], error) {
	return pageOf(in, "/admin/flagged", query.MaxList, func(p query.Paging) ([]voice.Flag, string, error) {
		return a.queries.Flags(ctx, p)
	}, flag)
}

type flagUpdateInput struct {
	Keyed
	ID   string `path:"id"`
	Body api.FlagUpdate
}

func (a *API) decideFlag(ctx context.Context, in *flagUpdateInput) (*body[api.Flag], error) {
	id, ok := parseID(in.ID)
	if !ok {
		return nil, problem.ErrFlagNotFound
	}
	f, err := a.commands.DecideFlag(ctx, in.by(ctx), command.FlagDecision{
		ID: id, Status: voice.FlagStatus(in.Body.Status), Note: in.Body.AdminNote,
	})
	if err != nil {
		return nil, problem.NotFound(err, problem.ErrFlagNotFound)
	}
	return &body[api.Flag]{flag(f)}, nil
}

type ticketUpdateInput struct {
	Keyed
	ID   string `path:"id"`
	Body api.TicketUpdate
}

func (a *API) handleTicket(ctx context.Context, in *ticketUpdateInput) (*body[api.Ticket], error) {
	id, ok := parseID(in.ID)
	if !ok {
		return nil, problem.ErrTicketNotFound
	}
	k, err := a.commands.HandleTicket(ctx, in.by(ctx), command.TicketChange{
		ID: id, Status: voice.TicketStatus(in.Body.Status), Note: in.Body.AdminNote,
	})
	if err != nil {
		return nil, problem.NotFound(err, problem.ErrTicketNotFound)
	}
	return &body[api.Ticket]{ticket(k)}, nil
}

func (a *API) adminNotifications(ctx context.Context, _ *struct{}) (*body[[]api.AdminNotification], error) {
	list, err := a.queries.AdminNotifications(ctx)
	if err != nil {
		return nil, err
	}
	return &body[[]api.AdminNotification]{list}, nil
}
