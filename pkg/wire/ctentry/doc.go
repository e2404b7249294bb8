// Package ctentry is the codec of class 2 of SSYNCP version 2: entries of
// netfilter's connection tracking in the ADVERT blocks of package block.
//
// What many connections of a frame share is written once, where it is first
// needed, as in package entry: an entry refers to its destination and its
// profile by an index into a table that both sides build as they go, and an
// index that is the number of rows so far adds a row. Tables belong to one
// ADVERT block and have 256 rows; where one is full, [Encoder] begins another
// block in the same frame.
//
//	entry        destination index u8 [destination] profile index u8 [profile]
//	             source port u16  source address 4|16  [translated port u16]  age varint
//	             [adjustments] [tags] [fields]
//	destination  path index u8 [path]  port u16  address 4|16  [translated address 4|16  port u16]
//	path         shape u8  protocol u8  [zone u16] [reply zone u16] [translated source 4|16]
//	profile      status u32  state u8  options u8  timeout u32  [mark u32] [TCP]
//	TCP          scales u8  flags u8  reply flags u8
//	adjustments  of both directions: position u32  before u32  after u32
//	tags         of both directions: u32
//	fields       length u16, then fields: type u8  length u8  value
//
// docs/protocol.md of this module has the meaning of each.
//
// # Compactness
//
// NAT costs an entry two bytes at most: what it translates to is in the path
// and the destination, which entries share. [Order] puts those of one
// destination behind each other.
//
// # Strictness
//
// [Decoder.Reset] looks at all ADVERT blocks of class 2 of a frame before the
// first entry is taken from them: nothing of a broken frame is ever applied. An
// entry may also be refused alone, where it has fields that are not known or
// does not go together: that is counted, and the others are taken.
package ctentry
