package transport

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"golang.org/x/sys/unix"
)

// filter is what a datagram must be like.
type filter struct {
	ifIndex   int                    // 0: any
	elsewhere func(ifIndex int) bool // another link of ours hears it
	group     netip.Addr             // invalid: a unicast link
	groupOnly bool                   // nothing that is addressed to this host
	own       []netip.Addr
	peers     []netip.Addr // of a unicast link
	maxSize   int
}

// notOurs says that another link of this director has it: nothing is lost.
const notOurs Drop = -1

// judge says why a datagram is dropped, or that it is taken.
func (f *filter) judge(size int, source netip.Addr, a *arrival) (drop Drop, ok bool) {
	unicast := !f.group.IsValid()
	switch {
	case !a.hasInfo || !a.hasTTL:
		return DropUnverified, false
	case f.ifIndex != 0 && a.ifIndex != f.ifIndex:
		if f.elsewhere(a.ifIndex) {
			return notOurs, false
		}
		return DropInterface, false
	case a.destination != f.group && (f.groupOnly || !a.forHost()):
		return DropDestination, false
	case !unicast && a.ttl != TTL:
		return DropTTL, false
	case a.fragmented:
		return DropFragment, false
	case slices.Contains(f.own, source):
		return DropOwn, false
	case unicast && !slices.Contains(f.peers, source):
		return DropNotAPeer, false
	case a.truncated || size > f.maxSize:
		return DropTooLong, false
	}
	return 0, true
}

// arrival is what the kernel said beside a datagram.
type arrival struct {
	ifIndex     int
	destination netip.Addr
	local       netip.Addr // IPv4: the address of this host that it came to
	ttl         int
	overruns    uint32 // of the socket since it was opened
	hasInfo     bool
	hasTTL      bool
	hasOverruns bool
	fragmented  bool
	truncated   bool
}

// forHost reports whether it was addressed to this host and nobody else: IPv4
// sockets get broadcasts, too.
func (a *arrival) forHost() bool {
	if a.destination.Is4() {
		return a.destination == a.local
	}
	return !a.destination.IsMulticast()
}

// arrivalSize holds the control messages that were asked for: the larger kind
// of packet info, TTL, fragment size and SO_RXQ_OVFL.
var arrivalSize = unix.CmsgSpace(unix.SizeofInet6Pktinfo) + 3*unix.CmsgSpace(4)

// parseArrival reads the control messages. golang.org/x/net does not know
// those of fragments and SO_RXQ_OVFL, and its parser allocates.
func parseArrival(oob []byte) (a arrival) {
	for h, data := range controlMessages(oob) {
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			a.ifIndex = int(int32(binary.NativeEndian.Uint32(data)))
			a.local = netip.AddrFrom4([4]byte(data[4:]))
			a.destination = netip.AddrFrom4([4]byte(data[8:]))
			a.hasInfo = true
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			a.destination = netip.AddrFrom16([16]byte(data))
			a.ifIndex = int(binary.NativeEndian.Uint32(data[16:]))
			a.hasInfo = true
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_TTL && len(data) >= 4,
			h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_HOPLIMIT && len(data) >= 4:
			a.ttl = int(binary.NativeEndian.Uint32(data))
			a.hasTTL = true
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_RECVFRAGSIZE,
			h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_RECVFRAGSIZE:
			a.fragmented = true
		case h.Level == unix.SOL_SOCKET && h.Type == unix.SO_RXQ_OVFL && len(data) >= 4:
			a.overruns = binary.NativeEndian.Uint32(data)
			a.hasOverruns = true
		}
	}
	return a
}
