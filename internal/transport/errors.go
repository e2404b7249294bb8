package transport

import "errors"

// What Open, Check, Send and Receive fail with, told apart by errors.Is. The
// text around them says what it is about and what to do.
var (
	ErrNoInterface = errors.New("does not exist")
	ErrDown        = errors.New("is down")
	ErrNoMulticast = errors.New("has no MULTICAST flag")
	ErrNoAddress   = errors.New("has no address")
	ErrTentative   = errors.New("has an address that is being checked for duplicates")
	ErrDuplicate   = errors.New("has an address that must not be used")
	ErrNoIPv6      = errors.New("IPv6 is disabled")
	ErrMTU         = errors.New("has too small an MTU")
	ErrChanged     = errors.New("is not what it was")
	ErrGroup       = errors.New("not a multicast group (224.0.0.0/4, ff00::/8)")
	ErrPeers       = errors.New("not a list of peers")
	ErrNoRoute     = errors.New("no route to any peer")
	ErrTTL         = errors.New("not a TTL")
	ErrPort        = errors.New("not a UDP port")
	ErrPortInUse   = errors.New("is in use")
	ErrPermission  = errors.New("a raw socket takes CAP_NET_RAW: run as root or with AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN")
	ErrFirewall    = errors.New("a firewall rule drops datagrams on output")
	ErrUnblocked   = errors.New("told to stop receiving")
)
