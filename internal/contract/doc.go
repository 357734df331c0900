// Package contract tells other programs what Larder's surface is: the OpenAPI document of its
// routes, the AsyncAPI document of its live events, TypeScript types for the stock Socket.IO
// client, and a page that shows all of it to people.
//
// Nothing here is written twice. Routes come from the registry that serves them, shapes by
// reflection from package api, words from the comments there (words.json, which a test keeps
// fresh). The table Events is the one place that says of each live event who sends it, who hears
// it and what the ack is.
//
// The package serves nothing and decides nothing: it makes documents, each time the same. Its
// functions may be called from several goroutines.
package contract
