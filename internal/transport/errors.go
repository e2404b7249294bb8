package transport

import (
	"errors"
	"time"
)

// What Open, Check, Send and Receive fail with, told apart by errors.Is. The
// text around them names the interface and what to do.
var (
	ErrNoInterface = errors.New("does not exist")
	ErrDown        = errors.New("is down")
	ErrNoMulticast = errors.New("has no MULTICAST flag")
	ErrNoAddress   = errors.New("has no IPv4 address")
	ErrMTU         = errors.New("has too small an MTU")
	ErrChanged     = errors.New("is not what it was")
	ErrGroup       = errors.New("not an IPv4 multicast group (224.0.0.0/4)")
	ErrPermission  = errors.New("a raw socket takes CAP_NET_RAW: run as root or with AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN")
	ErrFirewall    = errors.New("a firewall rule drops adverts on output")
	ErrUnblocked   = errors.New("told to stop receiving")
)

// aLongTimeAgo is a deadline that has passed.
var aLongTimeAgo = time.Unix(1, 0)
