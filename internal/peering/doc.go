// Package peering is what directors that speak SSYNCP version 2 do with each
// other: who is believed, what is missing and sent again, who is given a
// snapshot by whom, and what a director says of its own completeness.
//
// It is a machine without a clock, sockets, goroutines or a device. [Node] is
// handed the frames that were opened and the time, and calls the interfaces
// that it was made with: [Network] to send, [Sink] to apply, [Source] to read
// tables, [Observer] to tell what happened. The same calls lead to the same
// calls. docs/protocol.md of this module has the rules; the constants are
// here, each beside what it is for.
//
// # How it is driven
//
// One goroutine owns a Node. Frames go into [Node.Receive]. News of this
// director goes into [Node.Advertise], as many frames as [Node.Ready] allows;
// then [Node.Tick] does what is due, with the part of the pace that news left
// over. [Node.Next] says when it wants to be called at the latest: it may have
// changed after any call.
//
// # Bounds
//
// Memory does not depend on what comes: 64 peers, each with a window of 4,096
// frame numbers and at most 1,024 missing sequences; a ring of 4,096 frames or
// 4 MiB of what was sent; two snapshots served at a time, each with 64 chunks
// that are not acknowledged; one snapshot taken at a time.
package peering
