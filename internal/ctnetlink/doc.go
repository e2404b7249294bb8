// Package ctnetlink speaks ctnetlink, the kernel's protocol for its connection
// tracking: sockets that are read and written in batches, and messages that are
// made from entries and become entries, without an allocation for each.
package ctnetlink
