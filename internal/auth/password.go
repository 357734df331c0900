package auth

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
	"golang.org/x/crypto/bcrypt"
)

// Cost of argon2id: 19 MiB, two passes, one lane (OWASP Password Storage Cheat
// Sheet, second choice), about 25 ms.
const (
	argonMemory  = 19 << 10 // KiB
	argonTime    = 2
	argonThreads = 1
	argonKey     = 32
	argonSalt    = 16
)

// Bounds of a password in bytes. Existing registration forms allow six.
const (
	MinPassword       = 8
	MinPasswordByForm = 6
	MaxPassword       = 256
)

// noBcrypt is the bcrypt hash of nothing that can be typed, at the cost that the
// backends have from which accounts are brought in (SurplusSync, ADR 0018).
const noBcrypt = "$2a$10$....................................................."

// hashing bounds how many passwords are worked on at once, for their memory.
const hashing = 2

// Passwords hashes and verifies passwords.
type Passwords struct {
	slots chan struct{}
	dummy string // verified for the sake of the time that it takes, as noBcrypt is
}

// NewPasswords returns a Passwords.
func NewPasswords() *Passwords {
	var salt, key [argonSalt]byte
	return &Passwords{slots: make(chan struct{}, hashing), dummy: encodeArgon(salt[:], key[:])}
}

func (p *Passwords) acquire(ctx context.Context) error {
	select {
	case p.slots <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Hash returns the argon2id hash of a password in PHC form. It waits for its
// turn until ctx ends.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	if err := p.acquire(ctx); err != nil {
		return "", err
	}
	defer func() { <-p.slots }()
	salt := make([]byte, argonSalt)
	rand.Read(salt) //nolint:errcheck // never fails: crypto/rand ends the process instead
	return encodeArgon(salt, argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonThreads, argonKey)), nil
}

// Verify says whether the password is that of the hash, argon2id or bcrypt, and
// whether the hash should be made anew. Whatever it says no to costs the same, also
// an empty hash, so that nobody learns from the time which e-mails have an account,
// or one that was brought in.
func (p *Passwords) Verify(ctx context.Context, hash, password string) (ok, outdated bool, err error) {
	if err := p.acquire(ctx); err != nil {
		return false, false, err
	}
	defer func() { <-p.slots }()
	if strings.HasPrefix(hash, "$2") {
		if ok, err = matchesBcrypt(hash, password); ok || err != nil {
			return ok, true, err
		}
		_, _, err = matchesArgon(p.dummy, password)
		return false, false, err
	}
	known := hash != ""
	if !known {
		hash = p.dummy
	}
	if ok, outdated, err = matchesArgon(hash, password); ok && known || err != nil {
		return ok, outdated, err
	}
	_, err = matchesBcrypt(noBcrypt, password)
	return false, false, err
}

func matchesBcrypt(hash, password string) (bool, error) {
	// bcrypt reads 72 bytes; its own check of longer ones would be an error.
	err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(password)[:min(len(password), 72)])
	if errors.Is(err, bcrypt.ErrMismatchedHashAndPassword) {
		return false, nil
	}
	return err == nil, err
}

func matchesArgon(hash, password string) (ok, outdated bool, err error) {
	salt, key, params, err := decodeArgon(hash)
	if err != nil {
		return false, false, err
	}
	got := argon2.IDKey([]byte(password), salt, params.time, params.memory, params.threads, uint32(len(key)))
	return subtle.ConstantTimeCompare(got, key) == 1, params != argonParams{argonMemory, argonTime, argonThreads}, nil
}

type argonParams struct {
	memory  uint32 // KiB
	time    uint32
	threads uint8
}

func encodeArgon(salt, key []byte) string {
	b64 := base64.RawStdEncoding
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonThreads,
		b64.EncodeToString(salt), b64.EncodeToString(key))
}

var errHash = errors.New("password hash is of no known form")

func decodeArgon(s string) (salt, key []byte, p argonParams, err error) {
	parts := strings.Split(s, "$")
	if len(parts) != 6 || parts[1] != "argon2id" || parts[2] != fmt.Sprintf("v=%d", argon2.Version) {
		return nil, nil, p, errHash
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &p.memory, &p.time, &p.threads); err != nil {
		return nil, nil, p, errHash
	}
	salt, err1 := base64.RawStdEncoding.DecodeString(parts[4])
	key, err2 := base64.RawStdEncoding.DecodeString(parts[5])
	if err := errors.Join(err1, err2); err != nil || len(key) == 0 || p.time == 0 || p.threads == 0 {
		return nil, nil, p, errHash
	}
	return salt, key, p, nil
}

// fingerprint names a string without keeping it.
func fingerprint(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.RawURLEncoding.EncodeToString(sum[:12])
}
