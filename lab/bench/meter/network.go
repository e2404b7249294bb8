package main

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/ssyncp/ssyncp/lab/netns"
)

// Links of the director; the world has the other ends, by the same names.
const (
	front = "front" // clients
	back  = "back"  // real servers
	peers = "sync"  // other directors
)

// syncAddress is the director's, on the link to others.
const syncAddress = "192.168.81.1"

// Hardware addresses of the director, and one that nobody has: what the
// director forwards ends in the first check of the world's IPv4, so that
// hardly anything but the director's own work is counted.
var (
	frontAddress = [6]byte{0x02, 0, 0, 0, 0, 1}
	backAddress  = [6]byte{0x02, 0, 0, 0, 0, 2}
)

const nobody = "02:00:00:00:00:fe"

var (
	virtual = endpoint{198<<24 | 51<<16 | 100<<8 | 1, 80}
	server  = endpoint{203<<24 | 0<<16 | 113<<8 | 2, 8080}
)

// A network is a director and the world around it.
type network struct {
	director *netns.Namespace
	world    *netns.Namespace
	clients  *sender
	servers  *sender
}

func newNetwork() (n *network, err error) {
	n = new(network)
	defer func() {
		if err != nil {
			err = errors.Join(err, n.close())
			n = nil
		}
	}()
	if n.world, err = namespace("world"); err != nil {
		return n, err
	}
	if n.director, err = namespace("director"); err != nil {
		return n, err
	}
	if err := n.world.IP(strings.Join([]string{
		link(front, frontAddress), link(back, backAddress), link(peers, [6]byte{0x02, 0, 0, 0, 0, 3}),
		"link set front up", "link set back up", "link set sync up",
	}, "\n") + "\n"); err != nil {
		return n, err
	}
	if err := n.director.IP(strings.Join([]string{
		"link set front up", "link set back up", "link set sync up",
		"addr add 192.0.2.1/24 dev front",
		"addr add 198.51.100.1/32 dev lo",
		"addr add 203.0.113.1/24 dev back",
		"addr add " + syncAddress + "/24 dev sync",
		"neigh add 192.0.2.2 lladdr " + nobody + " nud permanent dev front",
		"neigh add 203.0.113.2 lladdr " + nobody + " nud permanent dev back",
		"route add 10.0.0.0/8 via 192.0.2.2",
		"route add 224.0.0.0/4 dev sync",
	}, "\n") + "\n"); err != nil {
		return n, err
	}
	if err := n.director.Sysctl("ipv4.ip_forward", "1"); err != nil {
		return n, err
	}
	if n.clients, err = newSender(n.world, front, frontAddress); err != nil {
		return n, err
	}
	n.servers, err = newSender(n.world, back, backAddress)
	return n, err
}

// namespace makes one in which nobody speaks unasked.
func namespace(name string) (*netns.Namespace, error) {
	n, err := netns.New(name)
	if err != nil {
		return nil, err
	}
	for key, value := range map[string]string{
		"ipv6.conf.all.disable_ipv6": "1", "ipv6.conf.default.disable_ipv6": "1",
		"ipv4.conf.all.rp_filter": "0", "ipv4.conf.default.rp_filter": "0",
		"ipv4.conf.all.send_redirects": "0", "ipv4.conf.default.send_redirects": "0",
	} {
		if err := n.Sysctl(key, value); err != nil {
			return nil, errors.Join(err, n.Close())
		}
	}
	return n, nil
}

// link is the command that makes a link from the world to the director.
func link(name string, hardware [6]byte) string {
	return fmt.Sprintf("link add %s type veth peer name %[1]s address %s netns director", name, net.HardwareAddr(hardware[:]))
}

func (n *network) close() error {
	var errs []error
	for _, s := range []*sender{n.clients, n.servers} {
		if s != nil {
			errs = append(errs, s.close())
		}
	}
	for _, ns := range []*netns.Namespace{n.director, n.world} {
		if ns != nil {
			errs = append(errs, ns.Close())
		}
	}
	return errors.Join(errs...)
}

// flush sends what is left in both directions.
func (n *network) flush() error { return errors.Join(n.clients.flush(), n.servers.flush()) }

// adverts returns what the director has sent to its peers.
func (n *network) adverts() (packets, bytes int64, err error) {
	text, err := n.director.ReadFile("dev")
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		name, counters, is := strings.Cut(line, ":")
		// Eight counters of what was received come first.
		fields := strings.Fields(counters)
		if !is || strings.TrimSpace(name) != peers || len(fields) < 10 {
			continue
		}
		if bytes, err = strconv.ParseInt(fields[8], 10, 64); err != nil {
			return 0, 0, err
		}
		packets, err = strconv.ParseInt(fields[9], 10, 64)
		return packets, bytes, err
	}
	return 0, 0, fmt.Errorf("no link %s in /proc/net/dev:\n%s", peers, text)
}
