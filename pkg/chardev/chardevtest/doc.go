// Package chardevtest has a device that needs no kernel. It keeps the contract
// of /dev/ssyncp in memory, so that what is built on package chardev can be
// tested anywhere: whole records only, an empty queue is not an end, news of a
// connection merge until they are read, events come first, one capture reader,
// linger, refusals by index, a snapshot to its end.
//
// A [Module] stands for the kernel module in one network namespace, a [Device]
// for a descriptor. Use an interface of the methods that are needed, which
// both [*Device] and [*chardev.Device] have. What only a kernel decides
// (whether news is fresher, whether a real server is there) a test decides by
// [Module.Refuse].
package chardevtest
