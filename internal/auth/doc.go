// Package auth says who is asking: it issues and verifies tokens, hashes and
// verifies passwords, and looks the account behind a token up as it is now.
//
// A token proves only which account asks. Role, verification and suspension are
// read from the store on every use, so that a change of rights works at once
// and a token from another backend with the same secret is worth exactly what
// its account is worth here.
//
// Everything may be used from many goroutines. Password work is bounded to a few
// hashes at a time, because each takes tens of megabytes.
package auth
