package client

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"larder/api"
)

// Register makes an account and signs this client in with it.
func (c *Client) Register(ctx context.Context, r api.Registration) (api.Session, error) {
	return c.signIn(ctx, "/auth/register", r)
}

// Login signs this client in.
func (c *Client) Login(ctx context.Context, email, password string) (api.Session, error) {
	return c.signIn(ctx, "/auth/login", api.Login{Email: email, Password: password})
}

func (c *Client) signIn(ctx context.Context, path string, body any) (api.Session, error) {
	var out api.Envelope[api.Session]
	if _, err := c.do(ctx, http.MethodPost, path, nil, body, &out); err != nil {
		return api.Session{}, err
	}
	c.SetToken(out.Data.Token)
	return out.Data, nil
}

// Profile returns the account that the client is signed in with.
func (c *Client) Profile(ctx context.Context) (p api.Profile, err error) {
	_, err = c.do(ctx, http.MethodGet, "/auth/profile", nil, nil, &p)
	return p, err
}

// UpdateProfile changes the fields that are given and returns the profile.
func (c *Client) UpdateProfile(ctx context.Context, u api.ProfileUpdate) (api.Profile, error) {
	var out api.Envelope[api.Profile]
	_, err := c.do(ctx, http.MethodPatch, "/auth/profile", nil, u, &out)
	return out.Data, err
}

// PendingNGOs lists the NGOs that wait for verification, who waits longest first.
// Admins only.
func (c *Client) PendingNGOs(ctx context.Context, p Page) (list []api.PendingNGO, next string, err error) {
	h, err := c.do(ctx, http.MethodGet, "/admin/pending-ngos", p.query(), nil, &list)
	return list, nextCursor(h), err
}

// Users lists all accounts, newest first. Admins only.
func (c *Client) Users(ctx context.Context, p Page) (list []api.AdminUser, next string, err error) {
	h, err := c.do(ctx, http.MethodGet, "/admin/users", p.query(), nil, &list)
	return list, nextCursor(h), err
}

// VerifyNGO lets an NGO claim. Admins only.
func (c *Client) VerifyNGO(ctx context.Context, id string) (v api.Verified, err error) {
	_, err = c.do(ctx, http.MethodPatch, "/admin/verify/"+url.PathEscape(id), nil, nil, &v)
	return v, err
}

// ToggleStatus suspends an account or restores it. Admins only.
func (c *Client) ToggleStatus(ctx context.Context, id string) (t api.Toggled, err error) {
	_, err = c.do(ctx, http.MethodPatch, "/admin/users/"+url.PathEscape(id)+"/toggle-status", nil, nil, &t)
	return t, err
}

// Health asks how the server is, once. One that is DOWN is an answer too, and no
// error.
func (c *Client) Health(ctx context.Context) (api.Health, error) {
	const what = "GET /health"
	resp, err := c.send(ctx, request{method: http.MethodGet, path: "/health"})
	if err != nil {
		return api.Health{}, fmt.Errorf(what+": %w", lost(ctx, err))
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return api.Health{}, fmt.Errorf(what+": %w", lost(ctx, err))
	}
	var h api.Health
	if err := json.Unmarshal(body, &h); err == nil && h.Status != "" {
		return h, nil
	}
	if resp.StatusCode == http.StatusOK {
		return api.Health{}, fmt.Errorf(what+": the answer is not that of a Larder: %.40q", body)
	}
	return api.Health{}, fmt.Errorf(what+": %w", refusal(resp.StatusCode, body))
}
