package client

import (
	"context"
	"net/http"
	"net/url"

	"larder/api"
)

// CommunityStats adds up the whole board. It needs no account.
func (c *Client) CommunityStats(ctx context.Context) (api.CommunityStats, error) {
	var out api.Envelope[api.CommunityStats]
	_, err := c.do(ctx, http.MethodGet, "/donations/stats/community", nil, nil, &out)
	return out.Data, err
}

// MonthlyStats counts the caller's donations in this month and the five before,
// oldest first.
func (c *Client) MonthlyStats(ctx context.Context) ([]api.MonthStats, error) {
	var out api.Envelope[[]api.MonthStats]
	_, err := c.do(ctx, http.MethodGet, "/donations/stats/monthly", nil, nil, &out)
	return out.Data, err
}

// Leaderboard ranks accounts by karma. scope is all, weekly or monthly; role is
// DONOR, NGO or VOLUNTEER, or empty for any. It needs no account.
func (c *Client) Leaderboard(ctx context.Context, scope, role string) ([]api.Leader, error) {
	q := url.Values{"scope": {scope}}
	if role != "" {
		q.Set("role", role)
	}
	var out api.Envelope[[]api.Leader]
	_, err := c.do(ctx, http.MethodGet, "/donations/leaderboard", q, nil, &out)
	return out.Data, err
}
