package admin

import "errors"

// Why a request is refused.
var (
	ErrUser     = errors.New("another user than root and the daemon's")
	ErrVersion1 = errors.New("version 1 of the protocol has no such thing: only version 2 has it (wire.version = 2)")
	ErrRequest  = errors.New("not a request")
	ErrUnknown  = errors.New("no such peer")
	ErrSeveral  = errors.New("more than one peer")
	ErrNobody   = errors.New("there is nobody to ask")
	ErrLong     = errors.New("it took longer than is waited for: is multicast.max_pps low, or the link bad?")
)

// Why a client has no answer.
var (
	ErrAbsent     = errors.New("there is no such socket")
	ErrDead       = errors.New("nobody listens")
	ErrPermission = errors.New("permission denied")
	ErrTimeout    = errors.New("not answered in time")
	ErrAnswer     = errors.New("no answer of ssyncpd")
	ErrRefused    = errors.New("refused") // by the daemon, which says why
)
