// Package transport carries datagrams between directors: many a system call,
// by IP protocol 114 or in UDP, over IPv4 or IPv6.
//
// A [Link] is an interface with a multicast group, or a list of unicast peers.
// What comes over a multicast link was sent by a host on the same link: with
// TTL 255 (RFC 5082), on that interface, to the group or to this host. What
// comes over a unicast link comes from an address of the list. Both come in one
// piece, and not from this host. Everything else is dropped, each under its own
// counter. The bytes of a datagram are not looked at.
package transport
