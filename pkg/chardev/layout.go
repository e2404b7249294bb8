package chardev

// Numbers of kmod/uapi/ssyncp.h.
const (
	ABIVersion = 1

	DefaultPath = "/dev/ssyncp"

	Align    = 8      // of every record, in bytes
	ReadMin  = 2048   // smallest buffer that a read takes
	WriteMax = 262144 // largest batch that a write takes

	peNameMax = 16 // with its terminating zero
	peDataMax = 255
)

// MaxRecordSize is the size of the largest record: a template with sequence
// options and 255 bytes of persistence engine data.
const MaxRecordSize = connSize + seqOptionSize + (peSize+peDataMax+Align-1)&^(Align-1)

// Sizes and offsets of the structures.
const (
	headSize      = 4
	connSize      = 88
	seqOptionSize = 24
	peSize        = 24
	eventSize     = 8
)

// DefaultBatchSize is a good size of a [Batch]: some 750 connections.
const DefaultBatchSize = 64 << 10
