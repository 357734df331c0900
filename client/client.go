package client

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// Config is what a Client is made from. Zero fields take the defaults named
// here.
type Config struct {
	// BaseURL is where the server is, "http://localhost:3000". A path in it
	// stands before all others.
	BaseURL string

	// Token is the token to begin with. Register, Login and SetToken change it.
	Token string

	// Namespace of the live events: "/donations".
	Namespace string

	// Header is added to every request and to the opening of WebSockets.
	Header http.Header

	// HTTPClient sends the requests, by default with 30 s for each try. It has
	// no part in WebSockets.
	HTTPClient *http.Client

	// Dial opens WebSocket connections, and those of the default HTTPClient.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// TLS is for WebSockets and for the default HTTPClient.
	TLS *tls.Config

	// Tries bounds how often one request is sent: 5.
	Tries int

	Logger *slog.Logger // nil: nothing is logged
}

const (
	requestTimeout   = 30 * time.Second // of one try, with its answer
	defaultTries     = 5
	defaultNamespace = "/donations"
)

// Client talks to one Larder.
type Client struct {
	base      *url.URL
	namespace string
	header    http.Header
	http      *http.Client
	dial      func(ctx context.Context, network, addr string) (net.Conn, error)
	tls       *tls.Config
	tries     int
	log       *slog.Logger

	mu    sync.Mutex // guards token
	token string
}

// New returns a Client. It connects to nothing yet.
func New(cfg Config) (*Client, error) {
	base, err := url.Parse(strings.TrimRight(cfg.BaseURL, "/"))
	if err != nil {
		return nil, fmt.Errorf("client: base URL: %w", err)
	}
	if base.Host == "" || base.Scheme != "http" && base.Scheme != "https" {
		return nil, fmt.Errorf("client: base URL %q must begin with http:// or https:// and name a host", cfg.BaseURL)
	}
	base.RawQuery, base.Fragment = "", ""
	namespace := cmp.Or(cfg.Namespace, defaultNamespace)
	if !strings.HasPrefix(namespace, "/") || strings.Contains(namespace, ",") {
		return nil, errors.New("client: a namespace begins with a slash and has no comma")
	}
	c := &Client{
		base: base, namespace: namespace, header: cfg.Header.Clone(), http: cfg.HTTPClient, dial: cfg.Dial, tls: cfg.TLS,
		tries: cmp.Or(cfg.Tries, defaultTries), log: cfg.Logger, token: cfg.Token,
	}
	if c.http == nil {
		c.http = &http.Client{Timeout: requestTimeout, Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, DialContext: cfg.Dial, TLSClientConfig: cfg.TLS, ForceAttemptHTTP2: true,
			IdleConnTimeout: 90 * time.Second, TLSHandshakeTimeout: 10 * time.Second,
		}}
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

// BaseURL returns where the server is, without a slash at the end.
func (c *Client) BaseURL() string { return c.base.String() }

// Token returns the token that the client uses now.
func (c *Client) Token() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.token
}

// SetToken changes the token for what comes: requests, and connections that are
// opened or opened again.
func (c *Client) SetToken(token string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.token = token
}

// Close lets go of idle connections. The client can still be used.
func (c *Client) Close() { c.http.CloseIdleConnections() }
