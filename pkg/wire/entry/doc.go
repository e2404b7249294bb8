// Package entry is the codec of class 1 of SSYNCP version 2: IPVS connections
// in the ADVERT blocks of package block.
//
// Most connections of a frame are of a few services and states. What they share
// is written once, where it is first needed: an entry refers to its destination
// and its profile by an index into a table that both sides build as they go.
// An index that is the number of rows so far adds a row, and its definition
// follows at once. Tables belong to one ADVERT block and have 256 rows; where
// one is full, [Encoder] begins another block in the same frame.
//
//	entry        destination index u8 [destination] profile index u8 [profile]
//	             client port u16  client address 4|16  age varint [sequence] [fields]
//	destination  service index u8 [service] shape u8  address 4|16 [port u16]
//	service      shape u8  protocol u8  port u16  address 4|16 [fwmark u32]
//	profile      flags u32  state u8  options u8  timeout u32
//	sequence     in: init, delta, previous delta  out: init, delta, previous delta   6 x u32
//	fields       length u16, then fields: type u8  length u8  value
//
// docs/protocol.md of this module has the meaning of each.
//
// # Compactness
//
// An IPv4 connection takes some 20 bytes in a full frame of an Ethernet,
// headers, nonce and tag included, where connections of one real server follow
// each other. [Order] puts a batch into such an order, with templates before
// the connections that they are for.
//
// # Strictness
//
// [Decoder.Reset] looks at all ADVERT blocks of class 1 of a frame before the
// first connection is taken from them: nothing of a broken frame is ever
// applied. An entry may also be refused alone, where it has fields that are not
// known or do not go together: that is counted, and the others are taken. What
// an entry says (protocol, state, flags) is not judged here: the kernel module
// does, and counts it.
package entry
