// Package director drives one load balancer of a guest test: the IPVS of its
// network namespace, the daemon that runs in it, and its /dev/ssyncp.
//
// Its methods fail the test at hand rather than return errors.
package director

import (
	"bufio"
	"bytes"
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/netns"
)

// Links of a director, one to each segment.
const (
	FrontLink = "front"
	BackLink  = "back"
	SyncLink  = "sync"
)

// A Director is a namespace with its own IPVS.
type Director struct {
	*netns.Namespace
	Front, Back, Sync netip.Addr
	Front6, Back6     netip.Addr // zero where a test does without IPv6
}

// IPVSAdm runs ipvsadm.
func (d *Director) IPVSAdm(t testing.TB, args ...string) string {
	t.Helper()
	out, err := d.Run(append([]string{"/sbin/ipvsadm"}, args...)...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// AddService makes virtual services.
func (d *Director) AddService(t testing.TB, services ...Service) {
	t.Helper()
	var rules strings.Builder
	for _, s := range services {
		rules.WriteString(s.rules())
	}
	if _, err := d.Feed(rules.String(), "/sbin/ipvsadm", "-R"); err != nil {
		t.Fatal(err)
	}
}

// Set sets a key of net.ipv4.vs, such as "sync_refresh_period".
func (d *Director) Set(t testing.TB, key, value string) {
	t.Helper()
	if err := d.Sysctl("ipv4.vs."+key, value); err != nil {
		t.Fatal(err)
	}
}

// A Connection is a line of /proc/net/ip_vs_conn. A template has client port 0.
type Connection struct {
	Protocol    string // "TCP", "UDP", "IP" ...
	Client      netip.AddrPort
	Virtual     netip.AddrPort
	Destination netip.AddrPort
	State       string // "ESTABLISHED" ...
	Origin      string // "LOCAL" or "SYNC"; empty where the file does not say
	Expires     time.Duration
}

// Connections returns what IPVS knows.
func (d *Director) Connections(t testing.TB) []Connection {
	t.Helper()
	return d.connections(t, "ip_vs_conn")
}

// SyncConnections is Connections with Origin.
func (d *Director) SyncConnections(t testing.TB) []Connection {
	t.Helper()
	return d.connections(t, "ip_vs_conn_sync")
}

func (d *Director) connections(t testing.TB, file string) []Connection {
	t.Helper()
	text, err := d.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	found, err := parseConnections(text)
	if err != nil {
		t.Fatalf("%s: %s: %v", d.Name, file, err)
	}
	return found
}

// parseConnections reads, after a line of titles,
//
//	Pro FromIP FPrt ToIP TPrt DestIP DPrt State [Origin] Expires [PEName PEData]
//
// with addresses and ports in hexadecimal; IPv6 addresses are in text.
func parseConnections(text []byte) ([]Connection, error) {
	var found []Connection
	withOrigin := false
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		fields := strings.Fields(lines.Text())
		if len(fields) > 0 && fields[0] == "Pro" {
			withOrigin = strings.Contains(lines.Text(), "Origin")
			continue
		}
		if len(fields) < 9 {
			return nil, fmt.Errorf("a line of %d fields: %q", len(fields), lines.Text())
		}
		c := Connection{Protocol: fields[0], State: fields[7]}
		for i, to := range []*netip.AddrPort{&c.Client, &c.Virtual, &c.Destination} {
			var err error
			if *to, err = parseAddress(fields[1+2*i], fields[2+2*i]); err != nil {
				return nil, fmt.Errorf("%q: %w", lines.Text(), err)
			}
		}
		expires := fields[8]
		if withOrigin {
			c.Origin, expires = fields[8], fields[9]
		}
		seconds, err := strconv.Atoi(expires)
		if err != nil {
			return nil, fmt.Errorf("%q: expires: %w", lines.Text(), err)
		}
		c.Expires = time.Duration(seconds) * time.Second
		found = append(found, c)
	}
	return found, nil
}

func parseAddress(address, port string) (netip.AddrPort, error) {
	p, err := strconv.ParseUint(port, 16, 16)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if strings.Contains(address, ":") {
		a, err := netip.ParseAddr(strings.Trim(address, "[]"))
		return netip.AddrPortFrom(a, uint16(p)), err
	}
	a, err := strconv.ParseUint(address, 16, 32)
	if err != nil {
		return netip.AddrPort{}, err
	}
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte{byte(a >> 24), byte(a >> 16), byte(a >> 8), byte(a)}), uint16(p)), nil
}

// ByClient returns what IPVS knows, templates left out, by the client's address
// and port.
func (d *Director) ByClient(t testing.TB) map[netip.AddrPort]Connection {
	t.Helper()
	found := make(map[netip.AddrPort]Connection)
	for _, c := range d.Connections(t) {
		if c.Client.Port() != 0 {
			found[c.Client] = c
		}
	}
	return found
}
