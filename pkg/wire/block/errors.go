package block

import (
	"errors"
	"fmt"
)

// Why a body is refused by [Parse]. Blocks are looked at one after the other.
var (
	ErrBody         = errors.New("block: broken body")
	ErrBlock        = errors.New("block: broken block")
	ErrUnknownBlock = errors.New("block: a mandatory block of an unknown type")
)

// What is wrong with a body: each is [ErrBody] to errors.Is.
var (
	ErrBodyShort = fmt.Errorf("%w: shorter than 28 bytes", ErrBody)
	ErrSender    = fmt.Errorf("%w: sender ID 0", ErrBody)
	ErrNumber    = fmt.Errorf("%w: frame number 0", ErrBody)
	ErrNoBlock   = fmt.Errorf("%w: no block", ErrBody)
)

// What is wrong with a block: each is [ErrBlock] to errors.Is.
var (
	ErrLength   = fmt.Errorf("%w: it reaches behind the body, or has no head", ErrBlock)
	ErrShort    = fmt.Errorf("%w: shorter than its fields", ErrBlock)
	ErrReserved = fmt.Errorf("%w: a reserved field is not zero", ErrBlock)
	ErrRange    = fmt.Errorf("%w: a field is out of its range", ErrBlock)
	ErrRanges   = fmt.Errorf("%w: ranges do not ascend, overlap, or are too many", ErrBlock)
	ErrName     = fmt.Errorf("%w: a name over 64 bytes, not UTF-8, or with control characters", ErrBlock)
	ErrSequence = fmt.Errorf("%w: the ADVERT blocks do not have one sequence, or not that of a snapshot in a snapshot only", ErrBlock)
	ErrChunks   = fmt.Errorf("%w: a second CHUNK", ErrBlock)
	ErrObjects  = fmt.Errorf("%w: an ANSWER with something else than its ADVERT blocks, or not as many entries as it says", ErrBlock)
)

// ErrTooLong says that a block is not made: its length does not fit.
var ErrTooLong = errors.New("block: longer than 65535 bytes")
