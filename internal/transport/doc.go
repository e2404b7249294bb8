// Package transport carries adverts between directors: IPv4 multicast in a
// raw socket, many adverts a system call.
//
// What it receives is what a peer on the same link sent to the group, in one
// piece: TTL 255 (RFC 5082), the configured interface, the group as
// destination, not reassembled from fragments, not our own. Everything else
// is dropped, each under its own counter. The bytes of an advert are not
// looked at.
package transport
