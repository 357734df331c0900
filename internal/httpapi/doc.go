// Package httpapi is the doors for requests: REST over JSON. It reads a request,
// finds out who asks, gives a command or asks a question, and writes the answer
// or the refusal in the form of package api.
//
// routes.go lists the whole surface. Handlers return errors; errors.go is the
// one place that turns them into answers and hides what is internal. Shape (types,
// lengths, unknown fields) is checked from the types of package api by huma, and
// meaning by the rules behind command.
//
// No handler holds a socket or tells a client of a change: that is the log's way.
package httpapi
