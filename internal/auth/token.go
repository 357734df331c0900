package auth

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/uuid"

	"larder/internal/account"
)

// Errors of tokens. ErrSuspended is of the account behind a good token.
var (
	ErrTokenMissing = errors.New("no token was given")
	ErrTokenInvalid = errors.New("token is not valid")
	ErrTokenExpired = errors.New("token has expired")
	ErrSuspended    = account.ErrSuspended
)

const (
	// MinSecret is the least number of bytes that a secret from outside may
	// have: less can be guessed from one token.
	MinSecret = 16
	// maxToken bounds what is parsed at all.
	maxToken = 4096
)

// Tokens issues and verifies JSON Web Tokens (RFC 7519) signed with HMAC SHA-256.
type Tokens struct {
	secret []byte
	ttl    time.Duration
}

// NewTokens returns Tokens for a secret and the life of new tokens.
func NewTokens(secret []byte, ttl time.Duration) *Tokens { return &Tokens{secret: secret, ttl: ttl} }

// claims are what Larder's tokens say.
type claims struct {
	Email string `json:"email"`
	Role  string `json:"role"`
	jwt.RegisteredClaims
}

// Claims is what a verified token says about its bearer.
type Claims struct {
	Subject   string // the account's id, or another backend's id for it
	Email     string
	IssuedAt  time.Time // zero: the token does not say
	ExpiresAt time.Time
}

// Issue returns a token for an account, valid from now on.
func (t *Tokens) Issue(a account.Account, now time.Time) (token string, expires time.Time, err error) {
	expires = now.Add(t.ttl)
	token, err = jwt.NewWithClaims(jwt.SigningMethodHS256, claims{
		Email: a.Email, Role: string(a.Role),
		RegisteredClaims: jwt.RegisteredClaims{
			Subject: a.ID, IssuedAt: jwt.NewNumericDate(a.IssuedAt(now)), ExpiresAt: jwt.NewNumericDate(expires), ID: uuid.NewString(),
		},
	}).SignedString(t.secret)
	if err != nil {
		return "", time.Time{}, fmt.Errorf("sign token: %w", err)
	}
	return token, expires, nil
}

// Verify checks signature, algorithm and expiry. A token without expiry is
// refused. The word Bearer may stand before it, in any case.
func (t *Tokens) Verify(raw string) (Claims, error) {
	raw = Bearer(raw)
	if raw == "" {
		return Claims{}, ErrTokenMissing
	}
	if len(raw) > maxToken {
		return Claims{}, ErrTokenInvalid
	}
	var c claims
	_, err := jwt.ParseWithClaims(raw, &c, func(*jwt.Token) (any, error) { return t.secret, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithExpirationRequired())
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return Claims{}, ErrTokenExpired
	case err != nil:
		return Claims{}, fmt.Errorf("%w: %w", ErrTokenInvalid, err)
	case c.Subject == "" && c.Email == "":
		return Claims{}, fmt.Errorf("%w: neither sub nor email", ErrTokenInvalid)
	}
	out := Claims{Subject: c.Subject, Email: c.Email, ExpiresAt: c.ExpiresAt.Time}
	if c.IssuedAt != nil {
		out.IssuedAt = c.IssuedAt.Time
	}
	return out, nil
}

// Bearer takes the scheme word off a token, if it is there.
func Bearer(s string) string {
	s = strings.TrimSpace(s)
	// Front ends without a token send the word alone.
	if scheme, rest, _ := strings.Cut(s, " "); strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(rest)
	}
	return s
}

// Secret reads the signing secret that is kept in folder, or makes one of 256
// bits with mode 0600. made says which.
func Secret(folder string) (secret []byte, made bool, err error) {
	path := filepath.Join(folder, "jwt-secret")
	b, err := os.ReadFile(path)
	if err == nil {
		if secret = []byte(strings.TrimSpace(string(b))); len(secret) < MinSecret {
			return nil, false, fmt.Errorf("%s holds less than %d bytes: remove it and a new secret is made", path, MinSecret)
		}
		return secret, false, nil
	}
	if !errors.Is(err, os.ErrNotExist) {
		return nil, false, fmt.Errorf("read secret: %w", err)
	}
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return nil, false, fmt.Errorf("make data folder: %w", err)
	}
	secret = []byte(rand.Text() + rand.Text())
	if err := keepSecret(folder, path, secret); errors.Is(err, os.ErrExist) {
		return Secret(folder) // another process was faster: its secret counts
	} else if err != nil {
		return nil, false, fmt.Errorf("keep secret: %w", err)
	}
	return secret, true, nil
}

// keepSecret writes the file whole under another name first, and then gives it
// its name if that is free: of processes that start at once one wins, and
// neither they nor a crash ever leave half a secret behind.
func keepSecret(folder, path string, secret []byte) error {
	f, err := os.CreateTemp(folder, "jwt-secret-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // a spare file with a secret that nobody uses
	_, err = f.Write(append(secret, '\n'))
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Link(f.Name(), path)
}
