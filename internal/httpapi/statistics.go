package httpapi

import (
	"context"
	"strings"

	"larder/api"
	"larder/internal/account"
	"larder/internal/query"
)

// enveloped is the output of a route whose answer existing clients expect wrapped.
func enveloped[T any](data T, err error) (*body[api.Envelope[T]], error) {
	if err != nil {
		return nil, err
	}
	return &body[api.Envelope[T]]{api.Envelope[T]{Success: true, Data: data}}, nil
}

func (a *API) communityStats(ctx context.Context, _ *struct{}) (*body[api.Envelope[api.CommunityStats]], error) {
	return enveloped(a.queries.Community(ctx))
}

func (a *API) monthlyStats(ctx context.Context, _ *struct{}) (*body[api.Envelope[[]api.MonthStats]], error) {
	return enveloped(a.queries.Monthly(ctx, caller(ctx)))
}

type leaderboardInput struct {
	Scope string `query:"scope" doc:"all (the default), weekly: the last 7 days, or monthly, and anything else: the last 30."`
	Role  string `query:"role" doc:"DONOR, NGO or VOLUNTEER in any case; anything else is ignored."`
}

func (a *API) leaderboard(ctx context.Context, in *leaderboardInput) (*body[api.Envelope[[]api.Leader]], error) {
	scope := query.LastMonth
	switch strings.ToLower(in.Scope) {
	case "", "all":
		scope = query.Ever
	case "weekly":
		scope = query.LastWeek
	}
	role := account.Role(strings.ToUpper(in.Role))
	if role != account.Donor && role != account.NGO && role != account.Volunteer {
		role = ""
	}
	return enveloped(a.queries.Leaderboard(ctx, scope, role))
}
