package auth_test

import (
	"context"
	"errors"
	"math"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"larder/internal/account"
	"larder/internal/auth"
	"larder/internal/store"
)

var secret = []byte("a secret of more than sixteen bytes")

// newAuth returns an Auth on a new store with the account "ann".
func newAuth(t *testing.T, hash string) (*auth.Auth, *store.Store) {
	t.Helper()
	st, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "larder.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	if _, err := st.Migrate(t.Context()); err != nil {
		t.Fatal(err)
	}
	update(t, st, func(tx *store.Tx) error { return tx.InsertAccount(t.Context(), ann, hash) })
	return auth.New(st, auth.NewTokens(secret, time.Hour)), st
}

var ann = account.Account{ID: "ann", Email: "Ann@example.org", Name: "Ann", Role: account.Donor, Verified: true, Active: true}

func update(t *testing.T, st *store.Store, fn func(*store.Tx) error) {
	t.Helper()
	if err := st.Update(t.Context(), fn); err != nil {
		t.Fatalf("Update: %v", err)
	}
}

func suspend(t *testing.T, st *store.Store) {
	t.Helper()
	off := ann
	off.Active = false
	update(t, st, func(tx *store.Tx) error { return tx.UpdateAccount(t.Context(), off) })
}

// cheapHash is a hash that costs tests nothing: imported ones may be weak.
func cheapHash(t *testing.T, password string) string {
	t.Helper()
	b, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func hashOf(t *testing.T, st *store.Store) (hash string) {
	t.Helper()
	err := st.View(t.Context(), func(tx *store.Tx) (err error) {
		_, hash, err = tx.Credentials(t.Context(), ann.Email)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return hash
}

func TestLogin(t *testing.T) {
	a, st := newAuth(t, cheapHash(t, "right password"))
	for _, email := range []string{"Ann@example.org", " ANN@EXAMPLE.ORG "} {
		got, err := a.Login(t.Context(), email, "right password", "1.2.3.4")
		if err != nil || got.ID != "ann" {
			t.Errorf("Login as %q: got %q, %v", email, got.ID, err)
		}
	}
	for name, try := range map[string][2]string{
		"wrong password": {"ann@example.org", "wrong password"}, "no password": {"ann@example.org", ""},
		"case of the password": {"ann@example.org", "Right password"}, "unknown e-mail": {"bob@example.org", "right password"},
		"nobody": {"", ""},
	} {
		got, err := a.Login(t.Context(), try[0], try[1], name)
		if !errors.Is(err, auth.ErrCredentials) || got.ID != "" {
			t.Errorf("%s: got %q, %v, want ErrCredentials", name, got.ID, err)
		}
	}
	suspend(t, st)
	if _, err := a.Login(t.Context(), ann.Email, "right password", "1.2.3.4"); !errors.Is(err, auth.ErrSuspended) {
		t.Errorf("suspended, right password: got %v, want ErrSuspended", err)
	}
	if _, err := a.Login(t.Context(), ann.Email, "wrong password", "1.2.3.4"); !errors.Is(err, auth.ErrCredentials) {
		t.Errorf("suspended, wrong password: got %v, want ErrCredentials: only the owner learns of it", err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Login(t.Context(), ann.Email, "right password", "1.2.3.4"); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("store closed: got %v, want ErrUnavailable", err)
	}
}

func TestImportedHashIsReplacedAtLogin(t *testing.T) {
	imported := cheapHash(t, "right password")
	a, st := newAuth(t, imported)
	if _, err := a.Login(t.Context(), ann.Email, "wrong", "x"); err == nil || hashOf(t, st) != imported {
		t.Errorf("after a failed login: error %v, hash %s, want the imported one", err, hashOf(t, st))
	}
	for range 2 { // and the new one works
		if _, err := a.Login(t.Context(), ann.Email, "right password", "x"); err != nil {
			t.Fatal(err)
		}
		if got := hashOf(t, st); !strings.HasPrefix(got, "$argon2id$") {
			t.Errorf("hash after a login: %s, want argon2id", got)
		}
	}
}

// TestUnknownEmailCostsTheSame compares what is allocated: the time would be a
// matter of luck.
func TestUnknownEmailCostsTheSame(t *testing.T) {
	p := auth.NewPasswords()
	hash, err := p.Hash(t.Context(), "right password")
	if err != nil {
		t.Fatal(err)
	}
	// The least of some tries: what the runtime allocates meanwhile only adds to it.
	cost := func(fn func()) (bytes uint64, pieces float64) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		fn()
		runtime.ReadMemStats(&after)
		pieces = math.Inf(1)
		for range 5 {
			pieces = min(pieces, testing.AllocsPerRun(1, fn))
		}
		return after.TotalAlloc - before.TotalAlloc, pieces
	}
	imported := cheapHash(t, "right password")
	_, ofBcrypt := cost(func() { _ = bcrypt.CompareHashAndPassword([]byte(imported), []byte("wrong password")) })
	_, alone := cost(func() { _, _ = p.Hash(t.Context(), "wrong password") })
	for name, hash := range map[string]string{"no account": "", "an account": hash, "an imported account": imported} {
		bytes, pieces := cost(func() {
			if ok, _, err := p.Verify(t.Context(), hash, "wrong password"); ok || err != nil {
				t.Errorf("%s: got %v, %v, want no", name, ok, err)
			}
		})
		if bytes < 19<<20 || bytes > 21<<20 || pieces < alone+ofBcrypt {
			t.Errorf("%s: a wrong password takes %d bytes in %v pieces; want 19 MiB, and %v pieces of argon2id with %v of bcrypt",
				name, bytes, pieces, alone, ofBcrypt)
		}
	}
}

func TestAuthenticate(t *testing.T) {
	a, st := newAuth(t, "")
	token := func(c map[string]any) string { return sign(t, "HS256", secret, c) }
	exp := time.Now().Add(time.Hour).Unix()
	issued, expires, err := a.Tokens.Issue(ann, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		token string
		want  error // nil: ann
	}{
		"our own":                          {issued, nil},
		"another backend's id, our e-mail": {token(map[string]any{"sub": "507f1f77bcf86cd799439011", "email": "ANN@example.org", "exp": exp}), nil},
		"only an e-mail":                   {token(map[string]any{"email": " ann@EXAMPLE.org", "exp": exp}), nil},
		"only our id":                      {token(map[string]any{"sub": "ann", "exp": exp}), nil},
		"our id, an unknown e-mail":        {token(map[string]any{"sub": "ann", "email": "x@y", "exp": exp}), nil},
		"rights in it count for nothing":   {token(map[string]any{"sub": "ann", "role": "ADMIN", "exp": exp}), nil},
		"both unknown":                     {token(map[string]any{"sub": "bob", "email": "bob@example.org", "exp": exp}), auth.ErrTokenInvalid},
		"neither":                          {token(map[string]any{"exp": exp}), auth.ErrTokenInvalid},
		"nothing":                          {"", auth.ErrTokenMissing},
	} {
		got, err := a.Authenticate(t.Context(), tc.token)
		if !errors.Is(err, tc.want) {
			t.Errorf("%s: got error %v, want %v", name, err, tc.want)
		}
		if tc.want == nil && (got.Account.ID != "ann" || got.Account.Role != account.Donor || got.ExpiresAt.Unix() != exp && got.ExpiresAt.Unix() != expires.Unix()) {
			t.Errorf("%s: got %+v", name, got)
		}
		if tc.want != nil && got.Account.ID != "" {
			t.Errorf("%s: a refusal came with the account %s", name, got.Account.ID)
		}
	}
	suspend(t, st)
	if _, err := a.Authenticate(t.Context(), issued); !errors.Is(err, auth.ErrSuspended) {
		t.Errorf("suspended: got %v, want ErrSuspended", err)
	}
	if err := st.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Authenticate(t.Context(), issued); !errors.Is(err, store.ErrUnavailable) || errors.Is(err, auth.ErrTokenInvalid) {
		t.Errorf("store closed: got %v, want ErrUnavailable and not an invalid token", err)
	}
}

func TestLoginLimits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, st := newAuth(t, cheapHash(t, "right password"))
		login := func(password, address string) error {
			_, err := a.Login(t.Context(), ann.Email, password, address)
			return err
		}
		began := time.Now()
		for range 9 {
			if err := login("wrong", "1.1.1.1"); !errors.Is(err, auth.ErrCredentials) {
				t.Fatalf("failure: got %v", err)
			}
		}
		if err := login("right password", "1.1.1.1"); err != nil {
			t.Fatalf("after nine failures: %v", err)
		}
		for range 10 { // a success has wiped them out
			if err := login("wrong", "1.1.1.1"); !errors.Is(err, auth.ErrCredentials) {
				t.Fatalf("failure: got %v", err)
			}
		}
		err := login("right password", "2.2.2.2") // from anywhere
		limit, ok := errors.AsType[*auth.RateError](err)
		if !ok || limit.RetryAfter != 15*time.Minute-time.Since(began) {
			t.Fatalf("the eleventh: got %v, want to come back in 15 minutes", err)
		}
		if got, want := err.Error(), "too many attempts, come back in 15m0s"; got != want {
			t.Errorf("message: got %q, want %q", got, want)
		}
		<-time.After(limit.RetryAfter - time.Millisecond)
		if _, ok := errors.AsType[*auth.RateError](login("right password", "2.2.2.2")); !ok {
			t.Error("a moment too early: not refused")
		}
		<-time.After(time.Millisecond)
		if err := login("right password", "2.2.2.2"); err != nil {
			t.Errorf("when told to come back: %v", err)
		}
		// A store that is away is nobody's failure.
		if err := st.Close(); err != nil {
			t.Fatal(err)
		}
		for range 15 {
			if err := login("right password", "3.3.3.3"); !errors.Is(err, store.ErrUnavailable) {
				t.Fatalf("store closed: got %v", err)
			}
		}
	})
}

// TestGuessesAtOnce sends many guesses together from many addresses: no more of
// them are looked at than if they came one by one.
func TestGuessesAtOnce(t *testing.T) {
	a, _ := newAuth(t, cheapHash(t, "right password"))
	var looked, refused atomic.Int64
	var ready, group sync.WaitGroup
	ready.Add(60)
	for i := range 60 {
		group.Go(func() {
			ready.Done()
			ready.Wait()
			_, err := a.Login(t.Context(), ann.Email, "wrong", string(rune('A'+i)))
			if _, ok := errors.AsType[*auth.RateError](err); ok {
				refused.Add(1)
			} else if errors.Is(err, auth.ErrCredentials) {
				looked.Add(1)
			}
		})
	}
	group.Wait()
	if looked.Load() != 10 || refused.Load() != 50 {
		t.Errorf("%d guesses were looked at and %d refused, want 10 and 50", looked.Load(), refused.Load())
	}
}

func TestAttemptsOfAnAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := auth.NewAttempts()
		n := 0
		try := func(address string) (time.Duration, bool) {
			n++
			err := a.Allow(address, string(rune(n)), time.Now()) // always another account
			rate, _ := errors.AsType[*auth.RateError](err)
			if err != nil && rate == nil {
				t.Fatalf("got %v", err)
			}
			if rate != nil {
				return rate.RetryAfter, false
			}
			return 0, true
		}
		for i := range 30 {
			if i == 20 {
				<-time.After(30 * time.Second)
			}
			if _, ok := try("1.1.1.1"); !ok {
				t.Fatalf("attempt %d was refused", i+1)
			}
		}
		wait, ok := try("1.1.1.1")
		if ok || wait != 30*time.Second {
			t.Errorf("attempt 31: got %v, %v, want to wait 30 s until the first is a minute ago", wait, ok)
		}
		if _, ok := try("2.2.2.2"); !ok {
			t.Error("another address was refused")
		}
		<-time.After(wait)
		for i := range 20 { // the first twenty are over a minute ago
			if _, ok := try("1.1.1.1"); !ok {
				t.Errorf("attempt %d of the next minute was refused", i+1)
			}
		}
		if _, ok := try("1.1.1.1"); ok {
			t.Error("31 attempts in one minute were allowed")
		}
	})
}

func TestAttemptsAreBounded(t *testing.T) {
	a := auth.NewAttempts()
	now := time.Now()
	names := func(i int) string { return string(rune('a'+i%26)) + time.Duration(i).String() }
	for i := range 2*auth.MaxTracked + 100 {
		_ = a.Allow(names(i), names(i), now)
	}
	addresses, accounts := a.Tracked()
	if addresses > auth.MaxTracked || accounts > auth.MaxTracked {
		t.Errorf("%d addresses and %d accounts are remembered, want at most %d", addresses, accounts, auth.MaxTracked)
	}
	// What still counts outlives what does not.
	a = auth.NewAttempts()
	for i := range auth.MaxTracked - 1 {
		_ = a.Allow(names(i), names(i), now.Add(-time.Hour))
	}
	for range 10 {
		_ = a.Allow("address", "account", now)
	}
	if a.Allow("other address", "account", now) == nil {
		t.Error("ten failures were forgotten although older ones could go")
	}
	if addresses, accounts := a.Tracked(); addresses > 10 || accounts > 10 {
		t.Errorf("after the sweep %d addresses and %d accounts are remembered", addresses, accounts)
	}
}

func TestHashingWaitsItsTurn(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("the client has gone")
	cancel(reason)
	p := auth.NewPasswords()
	var group sync.WaitGroup
	for range 4 { // all get their turn
		group.Go(func() {
			if _, err := p.Hash(t.Context(), "x"); err != nil {
				t.Errorf("Hash: %v", err)
			}
		})
	}
	group.Wait()
	release := auth.Occupy(p)
	defer release()
	if _, err := p.Hash(ctx, "x"); !errors.Is(err, reason) {
		t.Errorf("Hash with everything busy: got %v, want the reason of the context", err)
	}
	if _, _, err := p.Verify(ctx, "", "x"); !errors.Is(err, reason) {
		t.Errorf("Verify with everything busy: got %v, want the reason of the context", err)
	}
}
