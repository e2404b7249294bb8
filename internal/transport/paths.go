package transport

import (
	"fmt"
	"net/netip"
)

// path is the way to one of those that a link sends to.
type path struct {
	to netip.Addr
	route
	err error // there is none
}

// paths are the ways to the group, or to each peer.
type paths []path

// findPaths asks for the ways of a link. It fails where there is none at all.
func findPaths(o *Options, d device) (paths, error) {
	if o.multicast() {
		source, err := d.address(o.ipv6())
		if err != nil {
			return nil, err
		}
		mtu := d.mtu
		if o.ipv6() {
			// Routers, and a setting, may lower it for IPv6.
			if r, err := routeTo(o.Group, d); err == nil {
				mtu = min(mtu, r.mtu)
			}
		}
		return paths{{to: o.Group, route: route{source, mtu}}}, nil
	}
	var p paths
	reached := false
	for _, peer := range o.Peers {
		r, err := routeTo(peer, d)
		if err == nil && r.source == peer {
			return nil, fmt.Errorf("%w: %v is an address of this host", ErrPeers, peer)
		}
		reached = reached || err == nil
		p = append(p, path{peer, r, err})
	}
	if !reached {
		return nil, fmt.Errorf("%w: %w: \"ip route get %v\" says why", ErrNoRoute, p[0].err, p[0].to)
	}
	return p, nil
}

// mtu returns the smallest. What the kernel believes of a path may be forged,
// so it is the least that every path takes, or more.
func (p paths) mtu(least int) int {
	mtu := 0
	for _, path := range p {
		if path.err == nil && (mtu == 0 || path.mtu < mtu) {
			mtu = path.mtu
		}
	}
	return max(mtu, least)
}

// sources returns the addresses that datagrams leave from.
func (p paths) sources() []netip.Addr {
	var sources []netip.Addr
	for _, path := range p {
		if path.err == nil {
			sources = append(sources, path.source)
		}
	}
	return sources
}

// changed says which datagrams do not leave from where they did. A way that is
// gone may come back as it was.
func (p paths) changed(now paths) error {
	for i, path := range now {
		if path.err == nil && path.source != p[i].source {
			if p[i].err != nil {
				return fmt.Errorf("%v can be reached now", path.to)
			}
			return fmt.Errorf("its address changed from %v to %v", p[i].source, path.source)
		}
	}
	return nil
}
