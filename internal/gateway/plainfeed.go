package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"larder/api"
	"larder/internal/auth"
	"larder/internal/eventlog"
	"larder/internal/store"
)

// identify finds out who is at the other end, by the token of the request or by
// the first message, and tells the client when it can't.
func (c *plainConn) identify(ctx context.Context, token string) (auth.Identity, bool) {
	if token == "" {
		_ = c.expect(authTimeout)
		msg, err := c.read()
		switch {
		case errors.Is(err, errSilent):
			c.refuse(auth.ErrTokenMissing)
			return auth.Identity{}, false
		case err != nil:
			c.closeFor(err)
			return auth.Identity{}, false
		}
		var f api.Frame
		var data struct {
			Token string `json:"token"`
		}
		if json.Unmarshal(msg, &f) != nil || f.Event != api.EventAuth || json.Unmarshal(f.Data, &data) != nil {
			c.refuse(auth.ErrTokenMissing)
			return auth.Identity{}, false
		}
		token = data.Token
	}
	id, err := c.g.auth.Authenticate(ctx, token)
	if err == nil && c.g.draining.Load() {
		err = errDraining
	}
	if err != nil {
		c.refuse(err)
	}
	return id, err == nil
}

// errGap is a position that went out of the window while the replay ran.
var errGap = fmt.Errorf("%w: replay was overtaken by retention", store.ErrUnavailable)

// enter lets an identified connection into the stream: feed.ready, then what was
// missed after a position, then live (P-34).
func (c *plainConn) enter(ctx context.Context, id auth.Identity, after string) error {
	user := api.FeedUser{ID: id.Account.ID, Role: string(id.Account.Role)}
	if after == "" {
		c.g.fan.Enter(func(pos eventlog.Position) { c.goLive(pos, &api.FeedReady{Position: pos.String(), User: user}) })
		return nil
	}
	ready := &api.FeedReady{User: user}
	for {
		page, err := c.g.queries.Resume(ctx, id.Account, after, 0)
		if err != nil {
			return err
		}
		if ready == nil && !page.Recovered {
			return errGap
		}
		if ready != nil {
			ready.Recovered = page.Recovered
			if !page.Recovered {
				c.g.fan.Enter(func(pos eventlog.Position) {
					ready.Position = pos.String()
					c.goLive(pos, ready)
				})
				return nil
			}
			ready.Position = after
			c.sendEvent(api.EventFeedReady, ready)
			ready = nil
		}
		for _, e := range page.Events {
			c.sendEvent(e.Event, e.Data)
		}
		if err := c.flushed(ctx); err != nil {
			return err
		}
		after = page.Position
		if !page.More && c.catchUp(after) {
			return nil
		}
	}
}

// catchUp goes live if the stream has not passed the position up to which the log
// was read; otherwise there is more to read first.
func (c *plainConn) catchUp(read string) (live bool) {
	at, err := eventlog.ParsePosition(read)
	if err != nil {
		return false
	}
	c.g.fan.Enter(func(pos eventlog.Position) {
		if live = pos.Seq <= at.Seq; live {
			c.goLive(at, nil)
		}
	})
	return live
}

// goLive joins the stream after a position; ready is told first if it is there.
// The caller is inside fanout.Enter.
func (c *plainConn) goLive(pos eventlog.Position, ready *api.FeedReady) {
	if ready != nil {
		c.sendEvent(api.EventFeedReady, ready)
	}
	c.after = pos.Seq
	c.g.plain.join(c)
}
