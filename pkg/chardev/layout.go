package chardev

// ABIVersion is the version of kmod/uapi/ssyncp.h that this package speaks.
const ABIVersion = 1

// DefaultPath is where the device node is.
const DefaultPath = "/dev/ssyncp"

// Bounds of the device, in bytes.
const (
	Align    = 8      // every record is a multiple of it
	ReadMin  = 2048   // smallest buffer that a read takes
	WriteMax = 262144 // largest batch that a write takes

	// MaxRecordSize is the largest record: a template with sequence options
	// and 255 bytes of persistence engine data.
	MaxRecordSize = connSize + seqOptionSize + (peSize+peDataMax+Align-1)&^(Align-1)

	// MinRecordSize is the smallest connection record.
	MinRecordSize = connSize

	// DefaultBatchSize is a good size of a [Batch]: some 750 connections.
	DefaultBatchSize = 64 << 10
)

// Record kinds, options and families.
const (
	kindConn  = 1
	kindEvent = 2

	optSeq = 0x01
	optPE  = 0x02

	familyIPv4 = 2  // AF_INET
	familyIPv6 = 10 // AF_INET6
)

// struct ssyncp_head, which every record starts with.
const (
	headSize   = 4
	offLen     = 0
	offKind    = 2
	offOptions = 3
)

// struct ssyncp_conn.
const (
	connSize      = 88
	offFamily     = 4
	offDestFamily = 5
	offProtocol   = 6
	offMarks      = 7
	offFlags      = 8
	offState      = 12
	offCPort      = 14
	offVPort      = 16
	offDPort      = 18
	offFwmark     = 20
	offTimeout    = 24
	offAge        = 28
	offTold       = 32
	offReserved   = 36
	offCAddr      = 40
	offVAddr      = 56
	offDAddr      = 72
)

// struct ssyncp_seq_option, two of struct ssyncp_seq.
const (
	seqOptionSize    = 24
	seqSize          = 12
	offSeqIn         = 0
	offSeqOut        = 12
	offInit          = 0
	offDelta         = 4
	offPreviousDelta = 8
)

// struct ssyncp_pe.
const (
	peSize        = 24
	peNameMax     = 16 // with its terminating zero
	peDataMax     = 255
	offPEName     = 0
	offPELen      = 16
	offPEReserved = 17
)

// struct ssyncp_event.
const (
	eventSize = 8
	offEvents = 4
)
