package gateway_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"larder/api"
	"larder/internal/account"
	"larder/internal/command"
	"larder/internal/config"
	"larder/internal/testkit"
	"larder/internal/testkit/wire"
)

const (
	tokenLife  = 2 * time.Minute
	tokenGrace = 25 * time.Second
)

// holder is an account of the model, with every token that it ever got.
type holder struct {
	*testkit.User
	active, deleted bool
	tokens          []badge
}

// badge is a token and what the model knows of it.
type badge struct {
	text    string
	issued  time.Time
	expires time.Time
}

// accepts is the rule of contract section 2, written anew.
func (h *holder) accepts(b badge, now time.Time) bool {
	return h.active && !h.deleted && now.Before(b.expires) && b.issued.Unix() > h.Account.TokensAfter.Unix()
}

// link is an open connection of the model.
type link struct {
	door
	of      *holder
	expires time.Time
	revoked bool
	acks    chan testkit.Event
	gone    chan struct{}
}

func (l *link) read() {
	defer close(l.gone)
	for {
		e, err := l.Next()
		if err != nil {
			return
		}
		if e.Ack {
			l.acks <- e
		}
	}
}

func (l *link) open() bool {
	select {
	case <-l.gone:
		return false
	default:
		return true
	}
}

// Whatever happens to accounts and tokens, the connections that are open are
// exactly those whose account may be here and whose token has not run out, and
// only such are let in: P-3, P-4, P-18, P-24.
func TestConnectionsFollowTheirRights(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := testkit.Start(t, testkit.Options{Network: wire.Listen(), Config: func(c *config.Config) { c.JWTTTL = tokenLife }})
				w := &rights{t: t, n: n, c: beside(t, n), rand: rand.New(rand.NewPCG(seed, 1))}
				for range 3 {
					u := n.User(account.Volunteer)
					w.holders = append(w.holders, &holder{User: u, active: true})
				}
				for step := range 120 {
					w.step()
					<-time.After(time.Second)
					w.check(step)
				}
				for _, l := range w.links {
					l.Abort()
				}
				if w.let < 5 || w.refused < 5 || w.ended < 4 {
					t.Errorf("let in %d, refused %d, ended %d: the test shows little", w.let, w.refused, w.ended)
				}
			})
		})
	}
}

type rights struct {
	t                   *testing.T
	n                   *testkit.Node
	c                   *command.Service
	rand                *rand.Rand
	holders             []*holder
	links               []*link
	did                 string
	let, refused, ended int
}

func (w *rights) step() {
	h := w.holders[w.rand.IntN(len(w.holders))]
	var err error
	switch what := w.rand.IntN(20); {
	case what < 5:
		w.did = "sign in"
		now := time.Now()
		issued := now
		if next := h.Account.TokensAfter.Add(time.Second); issued.Before(next) {
			issued = next
		}
		h.tokens = append(h.tokens, badge{w.n.Token(h.Account, now), issued, issued.Truncate(time.Second).Add(tokenLife)})
	case what < 11:
		w.connect(h)
	case what < 14:
		w.refresh(h)
	case what < 16:
		w.did = "time passes"
		<-time.After(time.Duration(w.rand.IntN(60)) * time.Second)
	case what < 17 && !h.deleted:
		h.active = !h.active
		w.did = fmt.Sprintf("active %t", h.active)
		_, err = w.c.SetActive(context.Background(), h.Email, h.active)
		w.revoke(h, !h.active)
	case what < 18 && !h.deleted:
		w.did = "log out"
		h.Account, err = w.c.LogOut(context.Background(), h.Email)
		w.revoke(h, true)
	case what < 19 && !h.deleted:
		role := account.Donor
		if h.Account.Role == account.Donor {
			role = account.Volunteer
		}
		w.did = "role"
		after := h.Account.TokensAfter
		h.Account, err = w.c.SetRole(context.Background(), h.Email, role)
		h.Account.TokensAfter = after
		w.revoke(h, true)
	case w.rand.IntN(8) == 0 && !h.deleted:
		w.did = "delete"
		_, err = w.c.Delete(context.Background(), h.Email)
		h.deleted = true
		w.revoke(h, true)
	}
	if err != nil {
		w.t.Fatalf("%s: %v", w.did, err)
	}
}

// revoke says that the connections of an account have to end.
func (w *rights) revoke(h *holder, lost bool) {
	for _, l := range w.links {
		l.revoked = l.revoked || lost && l.of == h
	}
}

func (w *rights) connect(h *holder) {
	if len(h.tokens) == 0 {
		return
	}
	b := h.tokens[max(0, len(h.tokens)-1-w.rand.IntN(3))]
	u := *h.User
	u.Token = b.text
	name := []string{"plain", "socket.io"}[w.rand.IntN(2)]
	w.did = "connect by " + name
	want := h.accepts(b, time.Now())
	d, _, err := doors[name](context.Background(), w.n, &u)
	if (err == nil) != want {
		w.t.Fatalf("%s: let in %t (%v), want %t; active %t, deleted %t, issued %v, tokens after %v, expires %v, now %v", w.did,
			err == nil, err, want, h.active, h.deleted, b.issued, h.Account.TokensAfter, b.expires, time.Now())
	}
	if err != nil {
		w.refused++
		return
	}
	w.let++
	l := &link{door: d, of: h, expires: b.expires, acks: make(chan testkit.Event, 1), gone: make(chan struct{})}
	w.links = append(w.links, l)
	go l.read()
}

func (w *rights) refresh(h *holder) {
	w.did = "refresh"
	if len(w.links) == 0 || len(h.tokens) == 0 {
		return
	}
	l := w.links[w.rand.IntN(len(w.links))]
	if !l.open() {
		return
	}
	b := h.tokens[max(0, len(h.tokens)-1-w.rand.IntN(2))]
	want := l.of == h && h.accepts(b, time.Now())
	if err := l.Emit(1, api.EventAuthRefresh, api.AuthRefresh{Token: b.text}); err != nil {
		return // it ends at this very moment
	}
	select {
	case <-l.gone:
	case e := <-l.acks:
		if got := string(e.Data[:14]) == `{"expiresAt":"`; got != want {
			w.t.Fatalf("refresh: got %s, want %t", e.Data, want)
		}
		if want {
			l.expires = b.expires
		}
	}
}

// check compares what is open with what may be. At the very end of a token's time
// both are right.
func (w *rights) check(step int) {
	w.t.Helper()
	synctest.Wait()
	now := time.Now()
	var left []*link
	for _, l := range w.links {
		end := l.expires.Add(tokenGrace)
		switch open := l.open(); {
		case open && (l.revoked || now.After(end.Add(2*time.Second))):
			w.t.Fatalf("step %d, %s: a connection is open; revoked %t, its token ended %v ago", step, w.did, l.revoked, now.Sub(l.expires))
		case !open && !l.revoked && now.Before(end):
			w.t.Fatalf("step %d, %s: a connection was closed; its token ends in %v", step, w.did, l.expires.Sub(now))
		case open:
			left = append(left, l)
		default:
			w.ended++
		}
	}
	w.links = left
}
