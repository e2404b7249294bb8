package wire

// The protocol's numbers.
const (
	Version = 1

	Protocol = 114          // IP protocol number: any 0-hop protocol
	Group    = "224.0.0.81" // multicast group

	HeaderSize  = 8
	EntrySize   = 24
	OptionsSize = 24                              // sequence options that follow an entry
	MaxConns    = 50                              // entries of one advert
	MaxSize     = HeaderSize + MaxConns*EntrySize // 1208 bytes
	MaxSeqConns = 25                              // entries of one advert when all have sequence options
)
