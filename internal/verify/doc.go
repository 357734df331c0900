// Package verify checks a running Larder against its promise: what was
// acknowledged is in the log, what is in the log reached every client that may see
// it, once and in order, and the rows say the same as the log.
//
// Writers give commands and repeat each until it is answered. Witnesses, clients
// of every door, write down what they hear. Meanwhile a proxy disturbs their
// connections, and the server may be killed. In the end Judge compares what was
// written down with the log and the rows, as anybody can read them over REST.
//
// The checker looks from outside: it shares with the server the JSON of package
// api and the codecs of the wire, and no rule. What a donation may do is written
// down here once more, from the contract.
//
// # Promises
//
//   - Judge is a function of its Evidence alone.
//   - Run owns all goroutines, connections and processes, and returns when they
//     are gone.
//   - What a witness writes down takes a few bytes for each of its connections, not
//     for each event: events are numbered once for all, and numbers that follow
//     each other are one entry.
package verify
