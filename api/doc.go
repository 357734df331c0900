// Package api is the public JSON contract of Larder: the bodies of requests and
// answers, the payloads of live events and the error codes. Servers and clients
// share it; it holds no behaviour beyond encoding.
//
// Field names and meanings never change once released. Times are RFC 3339 in
// UTC with milliseconds and Z. A nullable field is null, never missing. Goldens
// in testdata/ fix the exact form of everything here.
//
// The package imports the standard library only and its values are plain data:
// use from several goroutines needs the usual care of plain data.
package api
