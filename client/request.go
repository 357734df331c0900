package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	mathrand "math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"larder/api"
)

const (
	maxAnswer     = 32 << 20 // bytes of one answer
	maxShown      = 200      // bytes of an answer that is no JSON, in an error
	firstWait     = 200 * time.Millisecond
	longestWait   = 5 * time.Second
	maxRetryAfter = 30 * time.Second // a longer Retry-After is for the caller to decide
)

type keyContext struct{}

// WithIdempotencyKey returns a context under which the one request that it is
// used for carries this key instead of a random one, so that a program can
// repeat it after a restart of its own.
func WithIdempotencyKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, keyContext{}, key)
}

// request is one call, the same in every try.
type request struct {
	method, path string
	query        url.Values
	key          string // Idempotency-Key
	body         []byte
}

// do sends a request until it is answered, and decodes the answer into out
// unless that is nil.
func (c *Client) do(ctx context.Context, method, path string, query url.Values, in, out any) (http.Header, error) {
	r := request{method: method, path: path, query: query}
	if in != nil {
		var err error
		if r.body, err = json.Marshal(in); err != nil {
			return nil, fmt.Errorf("%s %s: encode: %w", method, path, err)
		}
	}
	if method == http.MethodPost || method == http.MethodPatch {
		r.key, _ = ctx.Value(keyContext{}).(string)
		if r.key == "" {
			r.key = rand.Text()
		}
	}
	header, body, err := c.repeat(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("%s %s: %w", method, path, err)
	}
	if out != nil {
		if err := json.Unmarshal(body, out); err != nil {
			return nil, fmt.Errorf("%s %s: decode the answer: %w", method, path, err)
		}
	}
	return header, nil
}

// repeat tries a request until there is an answer that trying again can't
// better, under the same key each time.
func (c *Client) repeat(ctx context.Context, r request) (http.Header, []byte, error) {
	wait := firstWait
	for try := 1; ; try++ {
		header, body, err := c.once(ctx, r)
		if err == nil || try >= c.tries || !passing(err) {
			return header, body, err
		}
		pause := jitter(wait)
		if asked := retryAfter(header); asked > maxRetryAfter {
			return nil, nil, err
		} else if asked > pause {
			pause = asked
		}
		c.log.DebugContext(ctx, "request is tried again", "method", r.method, "path", r.path, "try", try, "wait", pause, "err", err)
		if err := sleep(ctx, pause); err != nil {
			return nil, nil, err
		}
		wait = min(wait*2, longestWait)
	}
}

// once sends a request one time. With an error the header is that of the
// refusal, if there was one.
func (c *Client) once(ctx context.Context, r request) (http.Header, []byte, error) {
	resp, err := c.send(ctx, r)
	if err != nil {
		return nil, nil, lost(ctx, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return nil, nil, lost(ctx, err)
	}
	if len(body) > maxAnswer {
		return nil, nil, fmt.Errorf("the answer is larger than %d bytes", maxAnswer)
	}
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return resp.Header, nil, refusal(resp.StatusCode, body)
	}
	return resp.Header, body, nil
}

func (c *Client) send(ctx context.Context, r request) (*http.Response, error) {
	u := c.base.JoinPath(r.path)
	u.RawQuery = r.query.Encode()
	req, err := http.NewRequestWithContext(ctx, r.method, u.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, c.header)
	req.Header.Set("Accept", "application/json")
	if r.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if token := c.Token(); token != "" {
		req.Header.Set("Authorization", bearer(token))
	}
	if r.key != "" {
		req.Header.Set("Idempotency-Key", r.key)
	}
	return c.http.Do(req)
}

// bearer puts the scheme before a token that comes without it.
func bearer(token string) string {
	if scheme, _, ok := strings.Cut(token, " "); ok && strings.EqualFold(scheme, "Bearer") {
		return token
	}
	return "Bearer " + token
}

// connectionError is a request that got no answer. Nobody knows whether it was
// carried out.
type connectionError struct{ err error }

func (e *connectionError) Error() string { return e.err.Error() }
func (e *connectionError) Unwrap() error { return e.err }

// lost says why there is no answer: because the caller gave up, or the
// connection did.
func lost(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	// What url.Error adds, method and address, is said by do.
	if ue, ok := errors.AsType[*url.Error](err); ok {
		err = ue.Err
	}
	return &connectionError{err}
}

// passing says whether another try may succeed: the connection broke, or the
// server, or a proxy before it, is away for the moment.
func passing(err error) bool {
	if e, ok := errors.AsType[*api.Error](err); ok {
		return temporary(e.StatusCode)
	}
	_, ok := errors.AsType[*connectionError](err)
	return ok
}

func temporary(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// refusal decodes the body of a refused request. One that is not Larder's, such
// as the page of a proxy, becomes the message.
func refusal(status int, body []byte) *api.Error {
	var e api.Error
	if err := json.Unmarshal(body, &e); err == nil && e.Code != "" {
		e.StatusCode = status
		return &e
	}
	text := strings.Join(strings.Fields(string(body)), " ")
	if len(text) > maxShown {
		text = text[:maxShown] + "…"
	}
	if text == "" || !utf8.ValidString(text) {
		text = "no explanation was given"
	}
	return api.NewError(status, codeOf(status), text)
}

// codeOf names a refusal that came without a code.
func codeOf(status int) api.Code {
	switch status {
	case http.StatusUnauthorized:
		return api.CodeTokenInvalid
	case http.StatusNotFound:
		return api.CodeNotFound
	case http.StatusMethodNotAllowed:
		return api.CodeMethodNotAllowed
	case http.StatusRequestEntityTooLarge:
		return api.CodeTooLarge
	case http.StatusUnsupportedMediaType:
		return api.CodeUnsupportedMedia
	case http.StatusTooManyRequests:
		return api.CodeRateLimited
	}
	switch {
	case temporary(status):
		return api.CodeUnavailable
	case status >= http.StatusInternalServerError:
		return api.CodeInternal
	}
	return api.CodeBadRequest
}

// retryAfter reads how long a refusal asks to wait: seconds, or a date.
func retryAfter(h http.Header) time.Duration {
	v := h.Get("Retry-After")
	if s, err := strconv.Atoi(v); err == nil {
		return time.Duration(min(max(s, 0), 1<<30)) * time.Second
	}
	if t, err := http.ParseTime(v); err == nil {
		return max(0, time.Until(t))
	}
	return 0
}

// jitter returns between half of d and d, so that clients that lost the same
// server do not return together.
func jitter(d time.Duration) time.Duration {
	return d/2 + time.Duration(mathrand.Int64N(int64(d/2)+1))
}

// sleep waits, or returns why ctx ended.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
