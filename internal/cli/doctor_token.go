package cli

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"larder/api"
)

// tokenInfo is what a token says of itself. Nothing of it is verified.
type tokenInfo struct {
	raw       string
	fault     string // why it is no token at all
	algorithm string
	subject   string
	expires   time.Time // zero: never
	notBefore time.Time
}

// readToken decodes a token (RFC 7519) without its signature.
func readToken(raw string) tokenInfo {
	raw = strings.TrimSpace(raw)
	if scheme, rest, ok := strings.Cut(raw, " "); ok && strings.EqualFold(scheme, "Bearer") {
		raw = strings.TrimSpace(rest)
	}
	t := tokenInfo{raw: raw}
	if raw == "" {
		return t
	}
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		t.fault = "it has " + count(len(parts), "part") + " instead of three with dots between"
		return t
	}
	var header struct {
		Algorithm string `json:"alg"`
	}
	var claims struct {
		Subject   string   `json:"sub"`
		Email     string   `json:"email"`
		Expires   *float64 `json:"exp"`
		NotBefore *float64 `json:"nbf"`
	}
	if !decodePart(parts[0], &header) || header.Algorithm == "" {
		t.fault = "its first part is no JWT header"
		return t
	}
	if !decodePart(parts[1], &claims) {
		t.fault = "its second part is no JSON object of claims"
		return t
	}
	t.algorithm, t.subject = header.Algorithm, cmp.Or(claims.Subject, claims.Email)
	t.expires, t.notBefore = moment(claims.Expires), moment(claims.NotBefore)
	return t
}

func decodePart(part string, out any) bool {
	b, err := base64.RawURLEncoding.DecodeString(strings.TrimRight(part, "="))
	return err == nil && json.Unmarshal(b, out) == nil
}

// moment reads a NumericDate, as far as it is one.
func moment(seconds *float64) time.Time {
	if seconds == nil || *seconds < 0 || *seconds > 1e11 {
		return time.Time{}
	}
	return time.Unix(int64(*seconds), 0).UTC()
}

// tokenAlone judges a token by what it says when there is no server to ask.
func (d *checkup) tokenAlone(t tokenInfo) {
	switch {
	case t.raw == "":
	case t.fault != "":
		d.fail("token: malformed: %s", t.fault)
	case t.expires.IsZero():
		d.fail("token: it has no expiry (exp), and such tokens are refused")
	case time.Now().After(t.expires):
		d.fail("token: %s", expired(t))
	default:
		d.ok("token: well formed, valid until %s; only a server can check its signature", t.expires.Format(time.RFC3339))
	}
}

func expired(t tokenInfo) string {
	return "expired on " + t.expires.Format(time.RFC3339) + "; sign in again"
}

// token asks the server for its verdict and explains it by what the token says.
func (d *checkup) token(ctx context.Context, t tokenInfo) {
	if t.raw == "" {
		d.hint("token: none given; --token T checks one")
		return
	}
	err := d.connect(ctx, t.raw, "")
	e, refused := errors.AsType[*api.Error](err)
	switch {
	case err == nil && t.expires.IsZero():
		d.ok("token: accepted")
	case err == nil:
		d.ok("token: accepted, valid until %s", t.expires.Format(time.RFC3339))
	case t.fault != "":
		d.fail("token: malformed: %s", t.fault)
	case !refused:
		d.fail("token: not checked: %v", err)
	case e.Code == api.CodeTokenExpired && t.expires.IsZero():
		d.fail("token: expired; sign in again")
	case e.Code == api.CodeTokenExpired:
		d.fail("token: %s", expired(t))
	case e.Code == api.CodeAccountSuspended:
		d.fail("token: its account is suspended; an admin can restore it")
	case e.Code == api.CodeTokenInvalid:
		d.fail("token: not valid: %s", invalid(t))
	default:
		d.fail("token: refused with %s: %s", e.Code, e.Message)
	}
}

// invalid is the likeliest reason for which a server calls a token invalid.
func invalid(t tokenInfo) string {
	switch {
	case t.expires.IsZero():
		return "it has no expiry (exp)"
	case t.algorithm != "HS256":
		return "it is signed with " + t.algorithm + ", and the server takes HS256"
	case t.subject == "":
		return "it names no account (sub or email)"
	case t.notBefore.After(time.Now()):
		return "it is valid only from " + t.notBefore.Format(time.RFC3339) + " on"
	}
	return "it was signed with another secret than the server's JWT_SECRET, or its account is not known there"
}
