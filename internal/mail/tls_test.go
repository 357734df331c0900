package mail_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"math/big"
	"slices"
	"strings"
	"testing"
	"time"

	"larder/internal/account"
	"larder/internal/mail"
)

// newCertificate makes a certificate for a host, good in the time of a bubble, and
// the pool that vouches for it.
func newCertificate(t *testing.T, host string) (*tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{host}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Date(1999, 1, 1, 0, 0, 0, 0, time.UTC), NotAfter: time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC),
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// Mails and the password go over TLS, once it is known who is at the other end.
func TestMailsOverTLS(t *testing.T) {
	for name, tc := range map[string]struct {
		way      string
		port     int
		implicit bool
	}{
		"STARTTLS when offered":            {mail.TLSAuto, 587, false},
		"STARTTLS or nothing":              {mail.TLSRequired, 587, false},
		"from the first byte":              {mail.TLSImplicit, 2465, true},
		"from the first byte, by the port": {mail.TLSAuto, 465, true},
	} {
		run := func(what string, arrange func(r *rig), sent bool) {
			t.Run(name+", "+what, func(t *testing.T) {
				bubble(t, func(r *rig) {
					r.post.offers, r.post.implicit = []string{"AUTH PLAIN"}, tc.implicit
					r.server.User, r.server.Password, r.server.TLS, r.server.Port = "user", "open sesame", tc.way, tc.port
					arrange(r)
					r.account("ngo", account.NGO)
					r.start()
					r.record(verified, "ngo")
					// A pipe holds nothing: a client that dislikes a certificate can't say so as
					// long as the server has more to send, and leaves when its time is over.
					pass(40 * time.Second)
					login := "AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00user\x00open sesame"))
					if !sent {
						r.want("nothing went")
						for _, c := range r.post.commands {
							if strings.Contains(c, "AUTH") || strings.Contains(c, "MAIL") {
								t.Errorf("said %q", r.post.commands)
							}
						}
						if lines := r.logs.Lines("mail not sent"); len(lines) != 1 || !strings.Contains(r.logs.String(), "certificate") {
							t.Errorf("logged %v: %s, commands %q", lines, r.logs, r.post.commands)
						}
						return
					}
					r.want("it went", "ngo: Your account is verified")
					if !slices.Contains(r.post.commands, lock+login) {
						t.Errorf("said %q", r.post.commands)
					}
					for _, c := range r.post.commands {
						if !strings.HasPrefix(c, lock) && !strings.HasPrefix(c, "EHLO") && c != "STARTTLS" {
							t.Errorf("said in the clear: %q", c)
						}
					}
				})
			})
		}
		run("trusted", func(r *rig) { r.post.certificate, r.server.Roots = newCertificate(r.T, "post.test") }, true)
		run("of another host", func(r *rig) { r.post.certificate, r.server.Roots = newCertificate(r.T, "other.test") }, false)
		run("of nobody we know", func(r *rig) { r.post.certificate, _ = newCertificate(r.T, "post.test") }, false)
	}
}
