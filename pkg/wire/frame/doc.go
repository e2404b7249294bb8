// Package frame is the outermost layer of SSYNCP version 2: what one packet
// carries, sealed with a key that the directors of a cluster share.
//
// A frame is a header of 12 bytes, in suite 1 a nonce of 24, a body, and in
// suite 1 a tag of 16. Every number is in network byte order:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+---------------+-------------------------------+
//	|       0       |    Sync ID    |             Size              |
//	+---------------+---------------+-------------------------------+
//	|          Version = 2          |           Checksum            |
//	+---------------+---------------+-------------------------------+
//	|     Suite     |   Reserved    |            Key ID             |
//	+---------------+---------------+-------------------------------+
//	|  Nonce, 24 bytes (suite 1 only)                               |
//	+---------------------------------------------------------------+
//	|  Body, sealed in suite 1; with the tag of 16 bytes behind it  |
//	+---------------------------------------------------------------+
//
// The first byte is the number of entries to a receiver of version 1, which
// then finds another version in what is its Reserved field: see [VersionOf].
// The body is made and read by package block.
//
// # Suites
//
// [Sealed], suite 1, is XChaCha20-Poly1305; everything before the body is
// additional data. [Clear], suite 0, has a checksum and neither hides nor
// proves anything. An [Opener] takes the suite that it was made for, whatever
// a frame says of itself.
//
// # Nonces
//
// A nonce is 192 random bits, read for each frame when its body is complete.
// They are not read in advance: a machine that is cloned, or restored to an
// earlier state, while it has some in store would use the same ones twice, for
// different bodies. The kernel's generator is told of such an event, and
// getrandom(2) is cheap: 0.1 µs beside 0.9 µs for sealing, where the kernel
// has it in the vDSO, which Go uses.
package frame
