package doctor

import "time"

// version1Packet is the longest packet of version 1, which is never shorter than
// that where there is much to tell.
const version1Packet = 20 + 1208

const sameMTU = "set the MTU of the link's interface to that of the path, on all directors"

// tooLarge are frames that did not fit somewhere.
var tooLarge = []counted{
	{"peer_unreachable", "fragmentation_needed", "a router on the way said that frames are too large", sameMTU},
	{"peer_unreachable", "too_large", "frames were larger than the path to a peer", sameMTU},
	{"receive_dropped", "fragment", "frames came in fragments, which are not taken", sameMTU},
}

// mtu looks whether frames of full size get through.
func (x *examination) mtu() {
	for n, l := range x.Config.Links {
		i, ok := x.interfaces[l.Interface]
		if ok && i.MTU < version1Packet && (x.Config.Wire.Version == 1 || x.Config.Wire.Dual(time.Now())) {
			x.find(Failure, "ip link set "+i.Name+" mtu 1500, on both ends", "link %d: %s has an MTU of %d, and version 1 needs %d", n+1, i.Name, i.MTU, version1Packet)
		}
	}
	if n := x.count("peering_trouble", "narrow_links"); n > 0 {
		x.find(Warning, "ping -M do -s 1472 PEER finds the link (1472 and 28 are 1500): give both interfaces and what is between them one MTU; journalctl -u ssyncpd has which link loses full-size frames",
			"probes found that a link takes less than the MTU of its interface: frames are shorter since")
	}
	for _, c := range tooLarge {
		if n := x.count(c.group, c.name); n > 0 {
			x.find(x.sinceStart(), c.remedy, "since ssyncpd started %s: %s %s, %d", c.what, c.group, c.name, n)
		}
	}
}
