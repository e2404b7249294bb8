// Package engine moves news of connections from a kernel to peers and back.
//
// It knows when, not what: how often the kernel is read, at which pace adverts
// leave, when a snapshot heals what was lost, when peers are reminded of what
// has no news, what happens when a device or an
// interface goes away. What an object is, and how it is encoded, stays behind
// Source and Sink: IPVS is their first implementation. An advert is built
// wholly by a Source and taken apart wholly by a Sink, because in version 1 of
// the protocol an advert and its entries are one thing.
//
// # News
//
// Every period a Source is read until it has no more. Adverts that are full
// leave at once, the partial one at the end of the period. Nothing is dropped
// to keep the pace: the engine waits, and the kernel merges what happens to a
// connection meanwhile into one record.
//
// # Snapshots
//
// At the start, and when news was lost, everything that this director owns is
// advertised again, at a quarter of the pace at most, and after a
// period's news: while news alone takes the whole pace, a snapshot waits. There
// is one at a time; while news keeps being lost the next one is put off, from
// 200 ms doubling to 5 s.
//
// # Sweeps
//
// A copy lives from the packet that was told last. A packet that comes soon
// after that one is no news; where silence follows it, the copy would expire
// before its owner. So every now and then, as often as the Source asks for, a
// snapshot is taken of what is due to be told again, and sent in the same way.
// While everything is advertised, or is going to be, there is no sweep: that
// tells all. A sweep that fails is not repeated before the next one's time.
//
// # Sessions
//
// A session is a link and a device, which has a source and a sink. When one of
// them fails the session ends, and what failed is opened again, with a
// back-off. The next session begins with a snapshot, which brings up to date
// what peers missed. A device stays open while its link is away: the kernel
// keeps the news, and the marks of what this director owns.
package engine
