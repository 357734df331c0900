// Package query is the read side: lists, one donation, histories, profiles, and
// what happened after a position, each as the asking account may see it.
//
// Every method reads one consistent state of the store. A Service may be used
// from many goroutines.
package query
