package client

import (
	"context"
	"net/http"

	"larder/api"
)

// CommunityStats adds up the whole board. It needs no account.
func (c *Client) CommunityStats(ctx context.Context) (api.CommunityStats, error) {
	var out api.Envelope[api.CommunityStats]
	_, err := c.do(ctx, http.MethodGet, "/donations/stats/community", nil, nil, &out)
	return out.Data, err
}
