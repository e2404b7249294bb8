// Package wire is the codec of SSYNCP version 1, the protocol that Alexandre
// Cassen described on the LVS mailing list in 2002: connections of an IPVS
// director, multicast to its peers in adverts (IPv4, IP protocol 114, group
// 224.0.0.81).
//
// An advert is a header of 8 bytes and up to 50 entries, at most 1208 bytes in
// all. Every number is in network byte order:
//
//	 0                   1                   2                   3
//	 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//	+---------------+---------------+-------------------------------+
//	|  Count Conns  |    Sync ID    |             Size              |
//	+---------------+---------------+-------------------------------+
//	|           Reserved            |           Checksum            |
//	+---------------+---------------+-------------------------------+
//
//	entry, 24 bytes                        sequence options, 24 bytes
//	 0  reserved  u8, zero                  0  in init            u32
//	 1  protocol  u8                        4  in delta           u32
//	 2  cport     u16                       8  in previous_delta  u32
//	 4  vport     u16                      12  out init           u32
//	 6  dport     u16                      16  out delta          u32
//	 8  caddr     u32                      20  out previous_delta u32
//	12  vaddr     u32
//	16  daddr     u32
//	20  flags     u16, IP_VS_CONN_F_*
//	22  state     u16
//
// Sequence options follow an entry that has a flag of [ipvs.FlagSeqMask] set.
// Size counts the whole advert. Checksum is the Internet checksum (RFC 1071)
// of the whole advert with the field zero. Reserved is zero; Count 0 with
// another value in Reserved is the mark of another version.
//
// # What version 1 carries
//
// An entry has no age and no timeout: decoded connections have Age 0 and
// Timeout 0, which means unknown. It has 16 bits of flags, of which
// [ipvs.FlagHashed] is never sent. A firewall mark is not sent: a connection is
// sent without it, and a peer finds its service by the virtual address.
// [Encoder.Append] refuses what would be wrong without the missing part: IPv6
// ([ErrIPv6]), the template of a service known by its firewall mark
// ([ErrFwmarkTemplate]), a template of a persistence engine
// ([ErrPersistenceEngine]). It refuses one-packet connections ([ErrOnePacket]),
// which end with their packet. A connection whose client port is not known yet
// ([ipvs.FlagNoCPort], port 0: FTP data) is sent.
//
// # Strictness
//
// [Decode] looks at the whole advert before the first connection is taken from
// it: nothing of a broken one is ever applied. It refuses a reserved byte that
// is not zero, also that of an entry, so that a later use cannot be taken for
// something that it is not. What an entry says (protocol, state, flags) is not
// judged here: the kernel module does, and counts it.
//
// # Version 2
//
// Its layers are packages of their own: frame (what one packet carries,
// sealed), block (what is in it) and entry (IPVS connections). frame.VersionOf
// tells which version a message has.
package wire
