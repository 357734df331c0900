package gateway

import (
	"log/slog"
	"sync"
)

// presence counts who is connected, over all doors.
type presence struct {
	mu      sync.Mutex // guards the fields below
	sockets int
	users   map[string]int // sockets by account
}

func (p *presence) enter(log *slog.Logger, accountID, door, transport string) {
	p.mu.Lock()
	if p.users == nil {
		p.users = map[string]int{}
	}
	p.sockets++
	p.users[accountID]++
	sockets, users := p.sockets, len(p.users)
	p.mu.Unlock()
	log.Info("client connected", "user_id", accountID, "door", door, "transport", transport,
		"total_sockets", sockets, "total_users", users)
}

func (p *presence) leave(log *slog.Logger, accountID, door, reason string) {
	p.mu.Lock()
	p.sockets--
	if p.users[accountID]--; p.users[accountID] <= 0 {
		delete(p.users, accountID)
	}
	sockets, users := p.sockets, len(p.users)
	p.mu.Unlock()
	log.Info("client disconnected", "user_id", accountID, "door", door, "reason", reason,
		"total_sockets", sockets, "total_users", users)
}
