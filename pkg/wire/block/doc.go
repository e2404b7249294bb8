// Package block is what is in a frame of SSYNCP version 2: who sent it, and
// one or more blocks.
//
// A body is what package frame seals. Every number is in network byte order:
//
//	body                                   block
//	 0  sender ID     u32, not 0            0  type      u8
//	 4  start ID      16 octets             1  reserved  u8, zero
//	20  frame number  u64, from 1           2  length    u16
//	28  blocks, to the end                  4  that many octets
//
// docs/protocol.md of this module has the layout of each type, and what they
// are for. ADVERT blocks are written by the package of their class: for IPVS
// connections, package entry.
//
// # Building
//
// A body is built behind [HeaderSize] octets, which [Header.Put] fills in when
// it is sent; [Stamp] does so with what is known no earlier of ADVERT blocks.
// A body that is kept can so be sent again. The Append functions refuse what
// [Parse] would.
//
// # Strictness
//
// [Parse] looks at the whole body, and at every field of the blocks that it
// knows, before the first block is taken from it: nothing of a broken one is
// ever applied. What it leaves to others is what is behind the header of an
// ADVERT. A block of an unknown type is handed out to be counted, unless its
// type has [Mandatory] set: then the body is refused.
package block
