package testkit

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"time"

	"larder/api"
)

// Call is one request. The zero values of all but Method and Path leave out what
// they name.
type Call struct {
	Method, Path string
	Token        string
	Body         any // string and []byte as they are, all else as JSON
	Header       http.Header
}

// Reply is the answer to a Call.
type Reply struct {
	Status int
	Header http.Header
	Body   []byte
}

// String shows a reply in the message of a failed test.
func (r Reply) String() string { return fmt.Sprintf("%d %s", r.Status, r.Body) }

// Try sends a request, from any goroutine.
func (n *Node) Try(ctx context.Context, c Call) (Reply, error) {
	var body io.Reader
	switch b := c.Body.(type) {
	case nil:
	case string:
		body = bytes.NewReader([]byte(b))
	case []byte:
		body = bytes.NewReader(b)
	case io.Reader:
		body = b
	default:
		text, err := json.Marshal(b)
		if err != nil {
			return Reply{}, err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, c.Method, n.URL()+c.Path, body)
	if err != nil {
		return Reply{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.Token)
	}
	maps.Copy(req.Header, c.Header)
	resp, err := n.HTTP.Do(req)
	if err != nil {
		return Reply{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return Reply{Status: resp.StatusCode, Header: resp.Header, Body: text}, err
}

// Do sends a request.
func (n *Node) Do(c Call) Reply {
	n.tb.Helper()
	r, err := n.Try(n.tb.Context(), c)
	if err != nil {
		n.tb.Fatalf("%s %s: %v", c.Method, c.Path, err)
	}
	return r
}

// Get sends a GET.
func (n *Node) Get(path, token string) Reply {
	n.tb.Helper()
	return n.Do(Call{Method: http.MethodGet, Path: path, Token: token})
}

// Post sends a POST.
func (n *Node) Post(path, token string, body any) Reply {
	n.tb.Helper()
	return n.Do(Call{Method: http.MethodPost, Path: path, Token: token, Body: body})
}

// Patch sends a PATCH.
func (n *Node) Patch(path, token string, body any) Reply {
	n.tb.Helper()
	return n.Do(Call{Method: http.MethodPatch, Path: path, Token: token, Body: body})
}

// Must decodes the body of a reply with a status.
func Must[T any](n *Node, r Reply, status int) T {
	n.tb.Helper()
	var v T
	if r.Status != status {
		n.tb.Fatalf("got %s, want status %d", r, status)
	}
	if err := json.Unmarshal(r.Body, &v); err != nil {
		n.tb.Fatalf("body %s: %v", r.Body, err)
	}
	return v
}

// Draft is a good body for POST /donations; fields replaces or adds some.
func Draft(fields map[string]any) map[string]any {
	d := map[string]any{
		"name": "Bread", "foodType": "Bakery", "quantity": 12.5, "unit": "kg", "latitude": 52.52, "longitude": 13.405,
		"expiryTime": time.Now().Add(6 * time.Hour).UTC().Format(time.RFC3339Nano),
	}
	maps.Copy(d, fields)
	return d
}

// Donate lists a donation.
func (n *Node) Donate(donor *User, fields map[string]any) api.Donation {
	n.tb.Helper()
	return Must[api.Donation](n, n.Post("/donations", donor.Token, Draft(fields)), http.StatusCreated)
}

// Order gives a command on a donation that must succeed.
func (n *Node) Order(by *User, donationID, command string, body any) api.Donation {
	n.tb.Helper()
	return Must[api.Donation](n, n.Patch("/donations/"+donationID+"/"+command, by.Token, body), http.StatusOK)
}
