// Package feed holds the rules of a narrowed feed: which donation events a client
// hears that asked for an area, for statuses or for kinds of food, and how it is
// told what comes into its view and what leaves it (docs/protocol.md, P-23).
//
// The same rules serve live events, the replay of what was missed, and the
// snapshot, so that the three can't disagree: View.Passage says what a record
// means to a view, View.Holds whether a snapshot has a donation, and Tell what a
// client gets.
//
// The package is pure: no clock, no storage, no goroutine.
package feed
