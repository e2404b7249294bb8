// Package chardev talks to /dev/ssyncp, the device of the ssyncp kernel module.
//
// A [Device] is bound to the network namespace of the thread that opened it.
// [Device.Attach] gives it one of three modes: capture (read the news of this
// director's connections, write those of its peers), snapshot (read every
// connection once, or those that peers are to be told of), or inject (write
// only).
//
// Reading fills a [Batch] with one system call and decodes records from it
// into a connection of the caller:
//
//	batch := chardev.NewBatch(chardev.DefaultBatchSize)
//	var c ipvs.Conn
//	for {
//		ok, err := dev.ReadBatch(batch) // never waits; false: nothing there
//		...
//		if batch.Events()&chardev.EventLost != 0 { ... }
//		for batch.Next(&c) { ... }
//		if err := batch.Err(); err != nil { ... }
//		if !batch.Full() { break } // full: there may be more, read at once
//	}
//
// Writing is the reverse: [AppendRecord] builds records in a buffer,
// [Device.Write] hands whole records to the module, [Device.Refusals] says
// which of them it did not apply, and why.
//
// The layout of records, and what the module does with them, is specified in
// kmod/uapi/ssyncp.h; a test compares every offset, size and constant of this
// package with that header. Lengths, states, flags and times are in host byte
// order there, addresses and ports in network byte order, times in
// milliseconds.
//
// Errors are of type [*OpError] and hold one of the sentinel values of this
// package, or an errno that has no meaning of its own here. Nothing is logged,
// nothing is retried.
//
// Package chardevtest has an in-memory device with the same methods.
package chardev
