package verify

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"larder/api"
)

// request sends a request of the witness.
func (w *witness) request(ctx context.Context, path string, q url.Values, header http.Header) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.site.url("http", path, q), nil)
	if err != nil {
		return nil, err
	}
	maps.Copy(req.Header, header)
	req.Header.Set("Authorization", "Bearer "+w.token)
	resp, err := w.site.http.Do(req)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp, nil
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return nil, err
	}
	return nil, refusal(resp.StatusCode, body)
}

func (w *witness) get(ctx context.Context, path string, q url.Values, out any) (http.Header, error) {
	resp, err := w.request(ctx, path, q, nil)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxMessage))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(body, out); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return resp.Header, nil
}

// nextPage is the cursor of a Link header.
func nextPage(h http.Header) string {
	target, params, _ := strings.Cut(h.Get("Link"), ">")
	if !strings.Contains(params, `rel="next"`) {
		return ""
	}
	u, err := url.Parse(strings.TrimPrefix(target, "<"))
	if err != nil {
		return ""
	}
	return u.Query().Get("after")
}

const (
	pollLeast  = 200 * time.Millisecond // between two requests of a REST poller
	pollSpread = 400 * time.Millisecond
)

// rest asks GET /events for what is new until a request fails.
func rest(ctx context.Context, w *witness) error {
	if !w.began {
		w.begin(w.start)
	}
	for {
		var page api.FeedResumed
		ask, cancel := context.WithTimeout(ctx, openTimeout)
		_, err := w.get(ask, "/events", url.Values{"after": {w.position()}}, &page)
		cancel()
		if err != nil {
			return err
		}
		switch {
		case !page.Recovered:
			w.gap(page.Position, page.Reason)
			if err := w.snapshot(ctx, page.Position); err != nil {
				return err
			}
		case !w.lostAt.IsZero():
			w.resumed("resumed")
		}
		for _, ev := range page.Events {
			if err := w.hear(ev.Event, ev.Data); err != nil {
				return err
			}
		}
		w.reach(page.Position) // it may end with what this account may not see
		if page.More {
			continue
		}
		if err := sleep(ctx, pollLeast+rand.N(pollSpread)); err != nil {
			return err
		}
	}
}

// serverSent reads one stream of GET /events.
func serverSent(ctx context.Context, w *witness) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	alive := time.AfterFunc(openTimeout, func() { cancel(errors.New("no sign of life")) })
	defer alive.Stop()
	h := http.Header{"Accept": {"text/event-stream"}}
	if w.began {
		h.Set("Last-Event-ID", w.position())
	}
	resp, err := w.request(ctx, "/events", w.query(), h)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if kind := resp.Header.Get("Content-Type"); !strings.HasPrefix(kind, "text/event-stream") {
		return &refusedError{status: resp.StatusCode, message: "GET /events answers with " + kind}
	}
	first := true
	var id, name, data string
	in := bufio.NewReaderSize(resp.Body, 4<<10)
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return err
		}
		alive.Reset(quiet)
		line = strings.TrimRight(line, "\r\n")
		field, value, _ := strings.Cut(line, ":")
		value = strings.TrimPrefix(value, " ")
		switch field {
		case "id":
			id = value
		case "event":
			name = value
		case "data":
			if data != "" {
				data += "\n"
			}
			data += value
		}
		if line != "" || data == "" {
			continue
		}
		if err := w.serverSentEvent(ctx, first, id, name, data); err != nil {
			return err
		}
		first, id, name, data = false, "", "", ""
	}
}

func (w *witness) serverSentEvent(ctx context.Context, first bool, id, name, data string) error {
	if name == api.EventFeedReady {
		var r api.FeedReady
		if err := json.Unmarshal([]byte(data), &r); err != nil {
			return err
		}
		return w.enter(ctx, r)
	}
	if first {
		w.fault("the stream begins with %s and not with feed.ready", name)
	}
	if err := w.hear(name, []byte(data)); err != nil {
		return err
	}
	if at := w.position(); id != "" && id != at {
		w.fault("%s has the id %s and the position %s", name, id, at)
	}
	return nil
}
