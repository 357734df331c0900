// Package mail tells people by mail what the log says: an account was verified, a
// support ticket answered, food expires soon.
//
// It is a reader of the committed log like the live feed, with a place in the log
// that is kept: in one transaction the sink moves on and rows are added for the
// mails to be sent. So each record is taken up once, whichever of several nodes
// reads it first, and what happened while no node ran is made up for. The first
// start begins at the head, and so does a restored log.
//
// A mail is tried by one node at a time: to try it is to write down when it may be
// tried again. What fails is tried again later and later, behind those that were
// tried less, and given up after some hours. A node that dies between sending a mail and
// writing that down makes it go out twice; both have the same Message-ID.
//
// A row holds no text and no address. Both are looked up when the mail is sent:
// who is suspended or deleted by then gets none, nor does anybody whom the matter
// no longer concerns.
//
// Without a mail server each mail is logged and counts as sent.
package mail
