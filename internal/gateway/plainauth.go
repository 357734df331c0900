package gateway

import (
	"context"
	"encoding/json"
	"errors"

	"larder/api"
	"larder/internal/auth"
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
