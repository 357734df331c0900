package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"strings"

	"larder/engineio"
)

// Polling is an Engine.IO client that polls. It sends one request for each
// call, in step with the protocol or not.
type Polling struct {
	Client *http.Client
	Base   string      // URL with the path, "http://larder.test/socket.io/"
	SID    string      // set by Open
	Header http.Header // added to each request
}

// Reply is the answer to one request.
type Reply struct {
	Status int
	Header http.Header
	Body   string
}

// Open opens a session and keeps its id.
func (p *Polling) Open(ctx context.Context) (engineio.OpenPacket, error) {
	var open engineio.OpenPacket
	reply, err := p.Get(ctx)
	if err != nil {
		return open, err
	}
	data, ok := strings.CutPrefix(reply.Body, "0")
	if reply.Status != http.StatusOK || !ok {
		return open, fmt.Errorf("wire: session not opened: %d %s", reply.Status, reply.Body)
	}
	if err := json.Unmarshal([]byte(data), &open); err != nil {
		return open, fmt.Errorf("wire: open packet: %w", err)
	}
	p.SID = open.SID
	return open, nil
}

// Get polls, or opens a session if there is none.
func (p *Polling) Get(ctx context.Context) (Reply, error) {
	return p.Do(ctx, http.MethodGet, "", "")
}

// Post sends a body.
func (p *Polling) Post(ctx context.Context, body string) (Reply, error) {
	return p.Do(ctx, http.MethodPost, "text/plain;charset=UTF-8", body)
}

// Do sends any request for the session.
func (p *Polling) Do(ctx context.Context, method, contentType, body string) (Reply, error) {
	q := url.Values{"EIO": {"4"}, "transport": {"polling"}}
	if p.SID != "" {
		q.Set("sid", p.SID)
	}
	return Do(ctx, p.Client, method, p.Base+"?"+q.Encode(), contentType, p.Header, body)
}

// Do sends any request.
func Do(ctx context.Context, client *http.Client, method, target, contentType string, header http.Header,
	body string,
) (Reply, error) {
	var r io.Reader
	if body != "" {
		r = bytes.NewReader([]byte(body))
	}
	req, err := http.NewRequestWithContext(ctx, method, target, r)
	if err != nil {
		return Reply{}, err
	}
	maps.Copy(req.Header, header)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := client.Do(req)
	if err != nil {
		return Reply{}, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return Reply{}, err
	}
	return Reply{Status: resp.StatusCode, Header: resp.Header, Body: string(data)}, nil
}
