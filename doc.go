// Package larder is the root of Larder, a live board for donated food.
//
// A donor lists surplus food, an NGO claims it, a volunteer carries it, and
// everyone who may see it sees it happen. Larder is one Go binary: a REST
// service, a Socket.IO server that the stock JavaScript client connects to, a
// web page, and its store.
//
// This package holds no code. Where to look:
//
//   - cmd/larder is the program.
//   - api is the public JSON contract, and client a Go client for it.
//   - engineio and socketio are the two protocol servers. They know nothing of
//     donations and can be used alone.
//   - internal holds the product. ARCHITECTURE.md walks through it.
//   - docs/protocol.md numbers every rule of the wire; code and tests cite the
//     numbers.
//
// The one rule behind the layout: nothing reaches a client that was not first
// read back from the committed log.
package larder
