package transport

import (
	"errors"
	"time"
)

// Errors of Open, Check and Receive, each followed by the name of what it is
// about.
var (
	ErrNoInterface = errors.New("no such interface (`ip link` shows those there are)")
	ErrDown        = errors.New("interface is down (ip link set NAME up)")
	ErrNoMulticast = errors.New("interface has no MULTICAST flag (ip link set NAME multicast on)")
	ErrNoAddress   = errors.New("interface has no IPv4 address, the source of adverts (ip address add ADDRESS/LENGTH dev NAME)")
	ErrGroup       = errors.New("not an IPv4 multicast group (224.0.0.0/4)")
	ErrPermission  = errors.New("a raw socket takes CAP_NET_RAW (run as root, or AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN in the unit)")
	ErrChanged     = errors.New("interface is not what was opened")
	ErrUnblocked   = errors.New("transport: told to stop receiving")
)

// aLongTimeAgo is a deadline that has passed.
var aLongTimeAgo = time.Unix(1, 0)
