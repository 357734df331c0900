// Package faults is a TCP proxy that does to connections what networks do: it
// delays them, cuts them, leaves them half-open and stops reading.
//
// A Proxy listens on this machine and forwards to one address, behind which a
// server may go away and come back. Make writes down, from a seed, which fault
// strikes when: the same seed gives the same plan. Which connections there are at
// that moment depends on the clients.
//
// # Promises
//
//   - Bytes arrive whole, in order and unchanged, up to the moment at which a
//     connection is cut or becomes half-open. After that none arrives.
//   - Run owns every goroutine and every connection, and returns when all of them
//     are gone.
//   - A connection takes two goroutines, two descriptors and 8 KiB.
//
// All methods may be called from many goroutines.
package faults
