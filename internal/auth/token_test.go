package auth_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"larder/internal/account"
	"larder/internal/auth"
)

// sign makes a token with any algorithm and claims.
func sign(t *testing.T, alg string, key any, c map[string]any) string {
	t.Helper()
	s, err := jwt.NewWithClaims(jwt.GetSigningMethod(alg), jwt.MapClaims(c)).SignedString(key)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestIssueAndVerify(t *testing.T) {
	tokens := auth.NewTokens(secret, 7*24*time.Hour)
	now := time.Now()
	raw, expires, err := tokens.Issue(ann, now)
	if err != nil || !expires.Equal(now.Add(7*24*time.Hour)) {
		t.Fatalf("Issue: expires %v, %v", expires, err)
	}
	c, err := tokens.Verify(raw)
	if err != nil || c.Subject != "ann" || c.Email != "Ann@example.org" || c.ExpiresAt.Unix() != expires.Unix() {
		t.Errorf("Verify: got %+v, %v", c, err)
	}
	body, err := base64.RawURLEncoding.DecodeString(strings.Split(raw, ".")[1])
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	for _, claim := range []string{"sub", "email", "role", "iat", "exp", "jti"} {
		if got[claim] == nil {
			t.Errorf("claim %s is missing in %s", claim, body)
		}
	}
	if len(got) != 6 {
		t.Errorf("claims: got %s, want six", body)
	}
	again, _, err := tokens.Issue(ann, now)
	if err != nil || again == raw {
		t.Errorf("two tokens of one moment are the same: %v", err)
	}
}

func TestVerifyRefuses(t *testing.T) {
	tokens := auth.NewTokens(secret, time.Hour)
	now := time.Now()
	claims := func(exp time.Time) map[string]any {
		return map[string]any{"sub": "ann", "email": "a@b", "exp": exp.Unix()}
	}
	good := sign(t, "HS256", secret, claims(now.Add(time.Hour)))
	parts := strings.Split(good, ".")
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	b64 := base64.RawURLEncoding.EncodeToString
	if _, err := tokens.Verify(good); err != nil {
		t.Fatalf("the good one: %v", err)
	}
	for name, tc := range map[string]struct {
		token string
		want  error
	}{
		"nothing":           {"", auth.ErrTokenMissing},
		"space":             {" \t", auth.ErrTokenMissing},
		"only the scheme":   {"Bearer ", auth.ErrTokenMissing}, // front ends without a token send it
		"no token":          {"hello", auth.ErrTokenInvalid},
		"another scheme":    {"Basic " + good, auth.ErrTokenInvalid},
		"scheme twice":      {"Bearer Bearer " + good, auth.ErrTokenInvalid},
		"alg none":          {sign(t, "none", jwt.UnsafeAllowNoneSignatureType, claims(now.Add(time.Hour))), auth.ErrTokenInvalid},
		"alg None":          {b64([]byte(`{"alg":"None","typ":"JWT"}`)) + "." + parts[1] + ".", auth.ErrTokenInvalid},
		"signature taken":   {parts[0] + "." + parts[1] + ".", auth.ErrTokenInvalid},
		"HS384":             {sign(t, "HS384", secret, claims(now.Add(time.Hour))), auth.ErrTokenInvalid},
		"HS512":             {sign(t, "HS512", secret, claims(now.Add(time.Hour))), auth.ErrTokenInvalid},
		"RS256":             {sign(t, "RS256", rsaKey, claims(now.Add(time.Hour))), auth.ErrTokenInvalid},
		"another secret":    {sign(t, "HS256", []byte("another secret of many bytes"), claims(now.Add(time.Hour))), auth.ErrTokenInvalid},
		"no secret":         {sign(t, "HS256", []byte{}, claims(now.Add(time.Hour))), auth.ErrTokenInvalid},
		"no exp":            {sign(t, "HS256", secret, map[string]any{"sub": "ann"}), auth.ErrTokenInvalid},
		"exp is text":       {sign(t, "HS256", secret, map[string]any{"sub": "ann", "exp": "tomorrow"}), auth.ErrTokenInvalid},
		"expired":           {sign(t, "HS256", secret, claims(now.Add(-time.Minute))), auth.ErrTokenExpired},
		"expired and wrong": {sign(t, "HS256", []byte("another secret of many bytes"), claims(now.Add(-time.Minute))), auth.ErrTokenInvalid},
		"not yet":           {sign(t, "HS256", secret, map[string]any{"sub": "ann", "exp": now.Add(time.Hour).Unix(), "nbf": now.Add(time.Minute).Unix()}), auth.ErrTokenInvalid},
		"about nobody":      {sign(t, "HS256", secret, map[string]any{"exp": now.Add(time.Hour).Unix()}), auth.ErrTokenInvalid},
		"sub is a number":   {sign(t, "HS256", secret, map[string]any{"sub": 7, "exp": now.Add(time.Hour).Unix()}), auth.ErrTokenInvalid},
		"huge":              {sign(t, "HS256", secret, map[string]any{"sub": "ann", "exp": now.Add(time.Hour).Unix(), "x": strings.Repeat("x", 5000)}), auth.ErrTokenInvalid},
		"changed claims":    {parts[0] + "." + b64([]byte(`{"sub":"admin","exp":99999999999}`)) + "." + parts[2], auth.ErrTokenInvalid},
		"four parts":        {good + ".x", auth.ErrTokenInvalid},
		"two parts":         {parts[0] + "." + parts[1], auth.ErrTokenInvalid},
		"padding":           {good + "=", auth.ErrTokenInvalid},
	} {
		c, err := tokens.Verify(tc.token)
		if !errors.Is(err, tc.want) || c != (auth.Claims{}) {
			t.Errorf("%s: got %+v, %v, want %v", name, c, err, tc.want)
		}
		if err != nil && strings.Contains(err.Error(), parts[2]) {
			t.Errorf("%s: the error shows the token: %v", name, err)
		}
	}
}

func TestBearer(t *testing.T) {
	for text, want := range map[string]string{
		"x.y.z": "x.y.z", "Bearer x.y.z": "x.y.z", "bearer x.y.z": "x.y.z", "BEARER   x.y.z ": "x.y.z", " x.y.z\n": "x.y.z",
		"": "", "Basic x": "Basic x", "Bearerx": "Bearerx",
	} {
		if got := auth.Bearer(text); got != want {
			t.Errorf("Bearer(%q): got %q, want %q", text, got, want)
		}
	}
}

func TestTokenExpiresAtItsSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tokens := auth.NewTokens(secret, time.Hour)
		raw, _, err := tokens.Issue(account.Account{ID: "ann"}, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		<-time.After(time.Hour - time.Millisecond)
		if _, err := tokens.Verify(raw); err != nil {
			t.Errorf("a moment before: %v", err)
		}
		<-time.After(time.Millisecond)
		if _, err := tokens.Verify(raw); !errors.Is(err, auth.ErrTokenExpired) {
			t.Errorf("at its second: got %v, want ErrTokenExpired", err)
		}
	})
}

func TestSecret(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "new", "data")
	first, made, err := auth.Secret(folder)
	if err != nil || !made || len(first) < 43 {
		t.Fatalf("first: %d bytes, made %v, %v", len(first), made, err)
	}
	again, made, err := auth.Secret(folder)
	if err != nil || made || string(again) != string(first) {
		t.Errorf("second: the same %v, made %v, %v", string(again) == string(first), made, err)
	}
	info, err := os.Stat(filepath.Join(folder, "jwt-secret"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("file: mode %v, %v, want 0600", info.Mode(), err)
	}
	if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("folder: mode %v, %v, want 0700", info.Mode(), err)
	}
	if files, err := os.ReadDir(folder); err != nil || len(files) != 1 {
		t.Errorf("folder: %v, %v, want one file", files, err)
	}
	other, _, err := auth.Secret(t.TempDir())
	if err != nil || string(other) == string(first) {
		t.Errorf("two folders have the same secret: %v", err)
	}
}

func TestSecretFromOutside(t *testing.T) {
	for name, tc := range map[string]struct {
		content string
		want    string // empty: refused
	}{
		"kept as it is":   {"sixteen bytes ok", "sixteen bytes ok"},
		"lines around it": {"\n sixteen bytes ok \r\n", "sixteen bytes ok"},
		"too short":       {"fifteen bytes..", ""},
		"empty":           {"", ""},
		"blank":           {strings.Repeat(" ", 40), ""},
	} {
		folder := t.TempDir()
		path := filepath.Join(folder, "jwt-secret")
		if err := os.WriteFile(path, []byte(tc.content), 0o600); err != nil {
			t.Fatal(err)
		}
		got, made, err := auth.Secret(folder)
		if string(got) != tc.want || made || (err == nil) != (tc.want != "") {
			t.Errorf("%s: got %q, made %v, %v", name, got, made, err)
		}
		if err != nil && (!strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "fifteen")) {
			t.Errorf("%s: the error %q has to name the file and not the secret", name, err)
		}
		if b, _ := os.ReadFile(path); string(b) != tc.content {
			t.Errorf("%s: the file was changed", name)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, _, err := auth.Secret(file); err == nil {
		t.Error("a file as folder: no error")
	}
}

func TestSecretAtOnce(t *testing.T) {
	for range 20 {
		folder := t.TempDir()
		var mu sync.Mutex
		secrets, makers := map[string]bool{}, 0
		var ready, group sync.WaitGroup
		ready.Add(8)
		for range 8 {
			group.Go(func() {
				ready.Done()
				ready.Wait()
				s, made, err := auth.Secret(folder)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Errorf("Secret: %v", err)
				}
				secrets[string(s)] = true
				if made {
					makers++
				}
			})
		}
		group.Wait()
		if len(secrets) != 1 || makers != 1 {
			t.Fatalf("eight at once made %d secrets, %d of them believe to have made it", len(secrets), makers)
		}
	}
}
