// Package store keeps accounts, donations and the log in a database, SQLite or
// PostgreSQL, through database/sql. It is the only package with SQL in it.
//
// # Guarantees
//
//   - Update runs a function in a transaction: its rows and the records that it
//     appended commit together or not at all. It is the only way to write.
//   - Functions of callers who wait share a transaction (group.go). None is hurt by
//     another's failure, save that of the commit itself.
//   - When Update returns nil the change is durable (SQLite in WAL mode with
//     synchronous FULL, PostgreSQL with synchronous_commit).
//   - Sequence numbers become visible in order: a reader that saw n never finds
//     a new record below n later. There is one writer at a time: in SQLite by
//     itself, in PostgreSQL by a lock that every writer takes first, on all nodes
//     (ADR 0008).
//   - View reads one consistent state.
//
// The suite in storetest proves these, and every engine passes it.
//
// # Errors
//
// ErrNotFound, ErrEmailTaken, ErrConflict and ErrText have a meaning for the caller.
// Everything else is ErrUnavailable with the driver's error inside: the store
// could not do its work. A database that is away is noticed in bounded time, and
// used again as soon as it is back. After an ErrUnavailable from a commit nobody
// knows whether it took place: repeat the command under its idempotency key.
//
// A function given to Update may return any error of its own; the transaction is
// rolled back and the error comes back as it is.
//
// # Concurrency
//
// A Store may be used from many goroutines; a Tx belongs to the function that it
// was given to. No network and no socket belongs inside a transaction.
package store
