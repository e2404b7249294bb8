// Package chardevtest has a device that needs no kernel: it keeps the contract
// of /dev/ssyncp (whole records, nothing to read is not an end, events first,
// refusals by index, a snapshot to its end) in memory, so that what is built
// on package chardev can be tested anywhere.
package chardevtest
