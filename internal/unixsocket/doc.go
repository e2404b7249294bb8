// Package unixsocket makes the unix sockets that a daemon is reached by: one
// daemon has each, and none is left behind.
package unixsocket

import "errors"

// Why there is no socket.
var (
	ErrInUse     = errors.New("in use")
	ErrNotSocket = errors.New("is no socket")
	ErrDirectory = errors.New("its directory cannot be used")
	ErrListen    = errors.New("cannot be listened on")
)
