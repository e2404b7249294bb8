package vrrp

import "errors"

// Why a role is not taken.
var (
	ErrRole      = errors.New("no such role")
	ErrName      = errors.New("not a name of a VRRP instance")
	ErrInstances = errors.New("too many VRRP instances")
)

// Why there is no FIFO or track file. The errors that wrap these name it, and
// what to do.
var (
	ErrDirectory = errors.New("its directory cannot be used")
	ErrInUse     = errors.New("in use by another ssyncpd")
	ErrNotFIFO   = errors.New("is no FIFO")
	ErrOthers    = errors.New("others may write to it")
	ErrOwner     = errors.New("is of another user than root and the daemon's")
	ErrNotTrack  = errors.New("is no track file")
	ErrOpen      = errors.New("cannot be opened")
)
