package wire

import "github.com/ssyncp/ssyncp/pkg/ipvs"

// Version of the protocol that this package speaks.
const Version = 1

// What adverts travel in.
const (
	Protocol = 114          // IP protocol number: any 0-hop protocol
	Group    = "224.0.0.81" // IPv4 multicast group
)

// Sizes in bytes, and how many entries an advert has at most.
const (
	HeaderSize  = 8
	EntrySize   = 24
	OptionsSize = 24 // sequence options, which follow an entry
	MaxConns    = 50
	MaxSize     = HeaderSize + MaxConns*EntrySize // 1208

	// MaxSeqConns is how many entries fit when all have sequence options.
	MaxSeqConns = (MaxSize - HeaderSize) / (EntrySize + OptionsSize)
)

// Offsets in the header.
const (
	offCount          = 0
	offSyncID         = 1
	offSize           = 2
	offAdvertReserved = 4
	offChecksum       = 6
)

// Offsets in an entry and the options that follow it.
const (
	offReserved = 0
	offProtocol = 1
	offCPort    = 2
	offVPort    = 4
	offDPort    = 6
	offCAddr    = 8
	offVAddr    = 12
	offDAddr    = 16
	offFlags    = 20
	offState    = 22
	offIn       = 24
	offOut      = offIn + sequenceSize

	sequenceSize = 12
)

// seqMaskHigh is FlagSeqMask in the first byte of the flags.
const seqMaskHigh = uint8(ipvs.FlagSeqMask >> 8)
