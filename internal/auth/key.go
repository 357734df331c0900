package auth

import (
	"crypto/hmac"
	"crypto/sha256"
)

// Key derives a key for another purpose from the secret, so that a signature made
// for the one is worth nothing for the other. The same secret gives the same key.
func (t *Tokens) Key(purpose string) []byte {
	mac := hmac.New(sha256.New, t.secret)
	mac.Write([]byte("larder key for " + purpose))
	return mac.Sum(nil)
}
