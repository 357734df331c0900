package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"larder/api"
)

// ListOptions narrows a list of donations. Its zero value asks for what the
// server lists by default.
type ListOptions struct {
	Statuses []string
	Near     *Place
	Limit    int    // of a page; 0, and no After: see Donations
	After    string // the cursor that came with the page before
}

// Place is a circle on the map.
type Place struct {
	Latitude, Longitude float64
	RadiusKm            float64 // 0: 5 km
}

func (o ListOptions) query() url.Values {
	q := url.Values{}
	if len(o.Statuses) > 0 {
		q.Set("status", strings.Join(o.Statuses, ","))
	}
	if o.Near != nil {
		q.Set("latitude", number(o.Near.Latitude))
		q.Set("longitude", number(o.Near.Longitude))
		if o.Near.RadiusKm > 0 {
			q.Set("radius", number(o.Near.RadiusKm))
		}
	}
	if o.Limit > 0 {
		q.Set("limit", strconv.Itoa(o.Limit))
	}
	if o.After != "" {
		q.Set("after", o.After)
	}
	return q
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// Donations lists donations, newest first. next is the cursor of the next page,
// empty when there is none. Without Limit and After it asks for no pages: the answer
// has at most the newest 1,000 of each status.
func (c *Client) Donations(ctx context.Context, o ListOptions) (list []api.Donation, next string, err error) {
	h, err := c.do(ctx, http.MethodGet, "/donations", o.query(), nil, &list)
	return list, nextCursor(h), err
}

// nextCursor finds the cursor in a header like
// `Link: </donations?after=…>; rel="next"`.
func nextCursor(h http.Header) string {
	for _, link := range h.Values("Link") {
		target, params, ok := strings.Cut(link, ">")
		target, isLink := strings.CutPrefix(strings.TrimSpace(target), "<")
		if !ok || !isLink || !strings.Contains(params, `rel="next"`) {
			continue
		}
		if u, err := url.Parse(target); err == nil {
			return u.Query().Get("after")
		}
	}
	return ""
}

// Donation returns one donation.
func (c *Client) Donation(ctx context.Context, id string) (d api.Donation, err error) {
	_, err = c.do(ctx, http.MethodGet, donationPath(id, ""), nil, nil, &d)
	return d, err
}

// History returns what happened to a donation, oldest first. For its parties.
func (c *Client) History(ctx context.Context, id string, p Page) (list []api.LoggedEvent, next string, err error) {
	h, err := c.do(ctx, http.MethodGet, donationPath(id, "/history"), p.query(), nil, &list)
	return list, nextCursor(h), err
}

// Events returns a page of what the caller may see of what happened after a
// position; an empty one means from the beginning of what is kept, a limit of 0
// what the server gives by default. See Watch for a stream of it.
func (c *Client) Events(ctx context.Context, after string, limit int) (page api.FeedResumed, err error) {
	q := url.Values{}
	if after != "" {
		q.Set("after", after)
	}
	if limit > 0 {
		q.Set("limit", strconv.Itoa(limit))
	}
	_, err = c.do(ctx, http.MethodGet, "/events", q, nil, &page)
	return page, err
}

// CreateDonation lists surplus food.
func (c *Client) CreateDonation(ctx context.Context, draft api.DonationDraft) (d api.Donation, err error) {
	_, err = c.do(ctx, http.MethodPost, "/donations", nil, draft, &d)
	return d, err
}

// Claim claims a donation for the caller's NGO.
func (c *Client) Claim(ctx context.Context, id string, r api.ClaimRequest) (api.Donation, error) {
	return c.change(ctx, id, "/claim", r)
}

// Release gives a claim back.
func (c *Client) Release(ctx context.Context, id, reason string) (api.Donation, error) {
	return c.change(ctx, id, "/release", api.ReasonRequest{Reason: reason})
}

// PickUp takes a claimed donation onto the road.
func (c *Client) PickUp(ctx context.Context, id string) (api.Donation, error) {
	return c.change(ctx, id, "/status", api.StatusRequest{Status: "PICKED_UP"})
}

// Cancel takes a donation back, with a reason.
func (c *Client) Cancel(ctx context.Context, id, reason string) (api.Donation, error) {
	return c.change(ctx, id, "/cancel", api.ReasonRequest{Reason: reason})
}

// Deliver ends the life of a donation well, and says what that earned.
func (c *Client) Deliver(ctx context.Context, id string) (d api.Delivery, err error) {
	_, err = c.do(ctx, http.MethodPatch, donationPath(id, "/deliver"), nil, nil, &d)
	return d, err
}

func (c *Client) change(ctx context.Context, id, what string, body any) (d api.Donation, err error) {
	_, err = c.do(ctx, http.MethodPatch, donationPath(id, what), nil, body, &d)
	return d, err
}

func donationPath(id, rest string) string { return "/donations/" + url.PathEscape(id) + rest }
