package command

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/ssyncp/ssyncp/internal/config"
)

// networks shows what the links' packets come from and go to, a network a line,
// for a filter that lets nothing else through, such as the unit's. Of a link that
// is not there yet only the addresses of peers are known.
func networks(inv *invocation) error {
	c, err := config.Load(inv.flags)
	if err != nil {
		return err
	}
	if c.Metrics.Public {
		// Whoever may ask, their addresses are not in the configuration.
		fmt.Fprintln(inv.stdout, "0.0.0.0/0\n::/0")
		return nil
	}
	for _, link := range c.Links {
		for _, peer := range link.Peers {
			fmt.Fprintln(inv.stdout, netip.PrefixFrom(peer, peer.BitLen()))
		}
		of, err := prefixes(link.Interface)
		if err != nil {
			fmt.Fprintf(inv.stderr, "ssyncpd: %s: %v\n", link.Interface, err)
		}
		for _, prefix := range of {
			fmt.Fprintln(inv.stdout, prefix)
		}
	}
	return nil
}

// prefixes returns the networks that an interface has addresses of.
func prefixes(name string) ([]netip.Prefix, error) {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return nil, err
	}
	addresses, err := link.Addrs()
	if err != nil {
		return nil, err
	}
	var list []netip.Prefix
	for _, address := range addresses {
		if prefix, err := netip.ParsePrefix(address.String()); err == nil {
			list = append(list, prefix.Masked())
		}
	}
	return list, nil
}
