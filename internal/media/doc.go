// Package media takes in photos and certificates: it checks them, writes photos
// anew, keeps what came of it, and collects what nobody refers to.
//
// What a file is, its bytes say; what a client says of it counts for nothing. A
// photo is decoded and encoded anew, so that nothing but the picture survives: no
// EXIF, no place, no second file behind the first. How much memory decoding would
// take, and how often it would pass over the picture, is known before it begins, and
// few do it at once.
//
// Names are made of the SHA-256 of what is written and of a few letters that are
// drawn when the content is new. The letters make a name of its own for each life of
// a content, so a file that was once removed never comes back under its old name and
// no lock is needed between an upload and the collection of garbage (ADR 0016).
//
// A Library may be used from many goroutines.
package media
