package gateway

import (
	"context"
	"encoding/json"
	"fmt"

	"larder/api"
	"larder/engineio"
	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/eventlog"
	"larder/internal/fanout"
	"larder/socketio"
)

// Reasons for which an account loses its connections, for OnDisconnect and the log.
const (
	reasonDeleted   engineio.Reason = "account deleted"
	reasonLoggedOut engineio.Reason = "logged out everywhere"
	reasonRole      engineio.Reason = "role changed"
	reasonRecheck   engineio.Reason = "account can't be checked"
	reasonGap       engineio.Reason = "events were removed before they were delivered"
)

// errRoleChanged closes a plain WebSocket whose client may come back at once.
var errRoleChanged = api.NewError(403, api.CodeWrongRole, "The role of this account has changed: connect again")

// applyRights brings a change of an account to its open connections (P-4, ADR
// 0011). It says whether the record was one.
//
// Who lost something is closed, by the transport, so that the client comes back
// and hears in feed.ready, or by its connect_error, what it is now.
func (g *Gateway) applyRights(r eventlog.Record) bool {
	switch r.Type {
	case eventlog.TypeAccountSuspended:
		g.expel(r.Subject, auth.ErrSuspended, reasonSuspended)
	case eventlog.TypeAccountDeleted:
		g.expel(r.Subject, auth.ErrTokenInvalid, reasonDeleted)
	case eventlog.TypeAccountLoggedOut:
		g.expel(r.Subject, auth.ErrTokenInvalid, reasonLoggedOut)
	case eventlog.TypeAccountRole:
		g.expel(r.Subject, errRoleChanged, reasonRole)
	case eventlog.TypeAccountVerified, eventlog.TypeAccountUpdated:
		g.adjust(r)
	default:
		return false
	}
	return true
}

// Lose implements fanout.Door. Rights may have changed by what is gone, too: whoever
// comes back shows its token anew.
func (g *Gateway) Lose() {
	for _, n := range g.spaces {
		n.Disconnect(reasonGap, true)
	}
	for _, c := range g.own.clients(g.own.live, nil) {
		c.end(errGap, reasonGap)
	}
}

// roomPaused is the room of those sockets of an account that are not in the stream, be
// it not yet or not now. Nothing is sent there: it is how their rights find them.
func roomPaused(accountID string) string { return "paused:" + accountID }

// expel closes every connection of an account.
func (g *Gateway) expel(accountID string, why error, reason engineio.Reason) {
	for _, n := range g.spaces {
		n.Disconnect(reason, true, fanout.RoomUser(accountID), roomPaused(accountID))
	}
	g.own.expel(accountID, why, reason)
}

// adjust gives the sockets of an account the rights that a record tells.
func (g *Gateway) adjust(r eventlog.Record) {
	a := account.Actor{ID: r.Subject}
	if err := json.Unmarshal(r.Payload, &a); err != nil || a.ID != r.Subject {
		g.log.Error("rights can't be read", "position", r.Position.String(), "err", err)
		return
	}
	for _, n := range g.spaces {
		for _, s := range n.Sockets(fanout.RoomUser(r.Subject), roomPaused(r.Subject)) {
			if t := ticketOf(s); t != nil {
				t.setActor(a)
			}
		}
	}
	for _, c := range g.own.of(r.Subject) {
		c.place().ticket.setActor(a)
	}
}

// recheck ends a connection whose account lost its right to it while it was let
// in: what was told then was told to those who were in already. It reports whether the
// connection stays.
func (g *Gateway) recheck(ctx context.Context, t *ticket, holder bearer) bool {
	reason, err := g.lookAgain(ctx, t)
	if err != nil {
		holder.end(err, reason)
	}
	return err == nil
}

// lookAgain puts today's rights of its account into a ticket. It fails if they
// are no longer those by which a connection was let in, or can't be looked up: nobody
// is kept by a failure (P-4).
func (g *Gateway) lookAgain(ctx context.Context, t *ticket) (engineio.Reason, error) {
	ctx, done := detached(ctx)
	defer done()
	was := t.who()
	a, err := g.auth.Recheck(ctx, was.ID, t.issuedAt())
	switch {
	case err != nil && a.ID != "" && !a.Active && !a.Deleted:
		return reasonSuspended, err
	case err != nil:
		return reasonRecheck, err
	case a.Role != was.Role:
		return reasonRole, errRoleChanged
	}
	t.setActor(a.Actor())
	return "", nil
}

// refresh takes a fresh token of the same account (P-24). One that is refused
// leaves the connection as it was.
func (g *Gateway) refresh(ctx context.Context, t *ticket, req api.AuthRefresh) (api.AuthExpiring, error) {
	ctx, done := detached(ctx)
	defer done()
	id, err := g.auth.Authenticate(ctx, req.Token)
	if err != nil {
		return api.AuthExpiring{}, err
	}
	if id.Account.ID != t.who().ID {
		return api.AuthExpiring{}, fmt.Errorf("%w: it is of another account", auth.ErrTokenInvalid)
	}
	if !g.expiry.renew(t, id) { // what happens to the account is told to the connection anyway
		return api.AuthExpiring{}, auth.ErrTokenExpired
	}
	return api.AuthExpiring{ExpiresAt: api.At(id.ExpiresAt)}, nil
}

// refreshed is refresh for a Socket.IO client.
func (g *Gateway) refreshed(ctx context.Context, s *socketio.Socket, req api.AuthRefresh) (api.AuthExpiring, error) {
	return g.refresh(ctx, ticketOf(s), req)
}

// ticketOf is what a socket was let in with, or nil.
func ticketOf(s *socketio.Socket) *ticket {
	t, _ := s.Data().(*ticket)
	return t
}
