// Package eventlog is the vocabulary of the committed log and the tailer that
// reads it.
//
// The invariant of the whole system is stated here: nothing reaches a client
// that was not first read back from the committed log. A command writes its rows
// and its records in one transaction; each node runs one Tailer, which reads the
// records after its position and hands them on in order. Whoever ran the command
// takes no part in that.
//
// # Order
//
// A record's sequence number only grows, and records become visible in that
// order: a reader that has seen n never later finds a new record below n. The
// store promises this (one writer in SQLite), and storetest proves it.
//
// # Epoch
//
// The epoch is the life of the log. It changes when a backup is restored,
// because sequence numbers start again from an older one. A position of another
// epoch must never be served a tail: its owner starts over.
//
// # Wake-ups
//
// A wake-up is only a hint that there may be something to read. The tailer also
// polls, so that a lost hint costs one interval and never a record.
//
// # Concurrency
//
// Waker may be used from any goroutine. A Tailer is run by one goroutine, and
// calls its sink from there, never concurrently. The package imports the
// standard library only.
package eventlog
