package testkit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/store"
)

// Password is that of all users.
const Password = "correct horse"

// hash is of Password, made once: it costs more than all else that a user needs.
var hash = sync.OnceValues(func() (string, error) {
	return auth.NewPasswords().Hash(context.Background(), Password)
})

// User is an account with a token.
type User struct {
	account.Account
	Token string
}

// User adds an account, verified and active, straight to the database. Each
// change is applied before.
func (n *Node) User(role account.Role, change ...func(*account.Account)) *User {
	n.tb.Helper()
	now := time.Now().UTC().Truncate(time.Millisecond)
	id := uuid.Must(uuid.NewV7()).String()
	a := account.Account{
		ID: id, Email: fmt.Sprintf("%s-%s@example.org", strings.ToLower(string(role)), id),
		Name: string(role) + " " + id[30:], Role: role, Verified: true, Active: true, CreatedAt: now, UpdatedAt: now,
	}
	for _, c := range change {
		c(&a)
	}
	h, err := hash()
	if err != nil {
		n.tb.Fatal(err)
	}
	n.Update(func(ctx context.Context, tx *store.Tx) error { return tx.InsertAccount(ctx, a, h) })
	return &User{Account: a, Token: n.Token(a, now)}
}

// Update changes the database behind the node's back, as another process would.
func (n *Node) Update(change func(ctx context.Context, tx *store.Tx) error) {
	n.tb.Helper()
	ctx := n.tb.Context()
	st, err := store.Open(ctx, n.Config.DatabaseURL)
	if err != nil {
		n.tb.Fatal(err)
	}
	err = st.Update(ctx, func(tx *store.Tx) error { return change(ctx, tx) })
	if err := errors.Join(err, st.Close()); err != nil {
		n.tb.Fatal(err)
	}
}

// Unverified is a change for User: an NGO that waits for an admin.
func Unverified(a *account.Account) { a.Verified = false }

// Suspended is a change for User.
func Suspended(a *account.Account) { a.Active = false }

// Token issues a token for an account at a moment.
func (n *Node) Token(a account.Account, at time.Time) string {
	n.tb.Helper()
	token, _, err := n.Tokens.Issue(a, at)
	if err != nil {
		n.tb.Fatal(err)
	}
	return token
}
