package auth_test

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"larder/internal/auth"
)

func TestPasswordRoundTrip(t *testing.T) {
	p := auth.NewPasswords()
	for _, password := range []string{"secret", "žluťoučký 🥖", strings.Repeat("x", auth.MaxPassword), "nul\x00inside", ""} {
		hash, err := p.Hash(t.Context(), password)
		if err != nil || !strings.HasPrefix(hash, "$argon2id$v=19$m=19456,t=2,p=1$") {
			t.Fatalf("Hash: got %q, %v", hash, err)
		}
		if ok, outdated, err := p.Verify(t.Context(), hash, password); !ok || outdated || err != nil {
			t.Errorf("Verify(%.20q): got %v, outdated %v, %v", password, ok, outdated, err)
		}
		if ok, _, err := p.Verify(t.Context(), hash, password+"x"); ok || err != nil {
			t.Errorf("Verify(%.20q) with a letter more: got %v, %v", password, ok, err)
		}
	}
	first, err1 := p.Hash(t.Context(), "same")
	second, err2 := p.Hash(t.Context(), "same")
	if first == second || err1 != nil || err2 != nil {
		t.Errorf("one password has the same hash twice: %v %v", err1, err2)
	}
}

func TestVerifyImportedHashes(t *testing.T) {
	p := auth.NewPasswords()
	long := strings.Repeat("long ", 20) // 100 bytes, of which bcrypt reads 72
	ofLong := cheapHash(t, long[:72])
	for name, tc := range map[string]struct {
		hash, password string
		ok             bool
	}{
		"bcrypt":                   {cheapHash(t, "secret"), "secret", true},
		"bcrypt, wrong":            {cheapHash(t, "secret"), "Secret", false},
		"bcrypt, longer than 72":   {ofLong, long, true},
		"bcrypt, 71 of 72":         {ofLong, long[:71], false},
		"bcrypt, as PHP writes":    {"$2y" + strings.TrimPrefix(cheapHash(t, "secret"), "$2a"), "secret", true},
		"bcrypt, as Node writes":   {"$2b" + strings.TrimPrefix(cheapHash(t, "secret"), "$2a"), "secret", true},
		"bcrypt, no password":      {cheapHash(t, "secret"), "", false},
		"argon2id of another tool": {"$argon2id$v=19$m=16,t=2,p=1$c29tZXNhbHQxMjM0NTY3OA$dMuA+wL6JrrHGof25GC3Dp0Yl0tZygxr", "secret", true},
	} {
		ok, outdated, err := p.Verify(t.Context(), tc.hash, tc.password)
		if ok != tc.ok || err != nil || (ok && !outdated) {
			t.Errorf("%s: got %v, outdated %v, %v, want %v and to be made anew", name, ok, outdated, err, tc.ok)
		}
	}
}

func TestVerifyOfNothing(t *testing.T) {
	p := auth.NewPasswords()
	for _, password := range []string{"", "x"} {
		if ok, _, err := p.Verify(t.Context(), "", password); ok || err != nil {
			t.Errorf("an empty hash with %q: got %v, %v, want no", password, ok, err)
		}
	}
	good, err := p.Hash(t.Context(), "x")
	if err != nil {
		t.Fatal(err)
	}
	bad, err := bcrypt.GenerateFromPassword([]byte("x"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for name, hash := range map[string]string{
		"plain text":     "x",
		"cut":            good[:len(good)-5] + "!",
		"without a key":  good[:strings.LastIndex(good, "$")+1],
		"other variant":  strings.Replace(good, "argon2id", "argon2i", 1),
		"other version":  strings.Replace(good, "v=19", "v=16", 1),
		"no passes":      strings.Replace(good, "t=2", "t=0", 1),
		"no lanes":       strings.Replace(good, "p=1", "p=0", 1),
		"odd parameters": strings.Replace(good, "m=19456", "m=much", 1),
		"cut bcrypt":     string(bad[:30]),
		"odd bcrypt":     "$2b$99$" + string(bad[7:]),
	} {
		if ok, _, err := p.Verify(t.Context(), hash, "x"); ok || err == nil {
			t.Errorf("%s: got %v, %v, want an error", name, ok, err)
		}
	}
}
