package main

import (
	"fmt"
	"strings"

	"github.com/ssyncp/ssyncp/lab/failover/verdict"
)

// Four guests on three Ethernet segments. The switches are in the host, so that
// a director takes nothing but itself away when it dies.
//
//	+---------+         +-------------------- servers -------------------+
//	| clients |         |  dr1..dr3     tun1..tun3         nat1..nat3    |
//	+----+----+         +-----+-------------+------------------+---------+
//	     | eth0               |             |                  |
//	-----+-----+---------+----+-------------+-- front     --+--+-----+-- back
//	           | eth0    | eth0                             |        |
//	   +-------+----+ +--+---------+                        |        |
//	   | director A | | director B +------------------------+        |
//	   |            +-|------------|---------------------------------+
//	   +-------+----+ +--+---------+ eth2
//	           | eth1    | eth1
//	   --------+---------+-- sync
//
// Clients reach the virtual addresses by routes through a director, and the
// real servers behind NAT answer through one; those of DR and TUN answer
// directly. A failover is the virtual addresses on director B, and these
// routes replaced.
const (
	frontSegment = "front" // 10.1.0.0/16
	syncSegment  = "sync"  // 10.3.0.0/24
	backSegment  = "back"  // 10.2.0.0/24
)

// host is what the addresses of a director end with.
type host int

const (
	directorA host = 11
	directorB host = 12
)

func (h host) front() string { return fmt.Sprintf("10.1.0.%d", h) }
func (h host) sync() string  { return fmt.Sprintf("10.3.0.%d", h) }
func (h host) back() string  { return fmt.Sprintf("10.2.0.%d", h) }

const (
	clientsAddress = "10.1.0.100"
	visitorsPrefix = "10.1.1.0/24" // clients of the persistent service
	servers        = 3             // real servers for each forwarding method
)

// A farm is the real servers of one forwarding method.
type farm struct {
	group   verdict.Group
	virtual string
	method  string // of forwarding, as ipvsadm has it
	segment string
	prefix  string // of their addresses, which end with 1 to servers
}

const (
	masquerading = "-m"
	gatewaying   = "-g"
	tunneling    = "-i"
)

var farms = []farm{
	{verdict.NAT, "10.9.0.1", masquerading, backSegment, "10.2.0.2"},
	{verdict.DR, "10.9.0.2", gatewaying, frontSegment, "10.1.0.3"},
	{verdict.TUN, "10.9.0.3", tunneling, frontSegment, "10.1.0.4"},
}

// namespace names the n-th real server: nat1, dr3.
func (f farm) namespace(n int) string {
	return fmt.Sprintf("%s%d", strings.ToLower(string(f.group)), n)
}

func (f farm) server(n int) string { return fmt.Sprintf("%s%d", f.prefix, n) }

// A service is one virtual service of a farm.
type service struct {
	group   verdict.Group // of the streams that it takes
	farm    farm
	udp     bool
	port    int
	options string // of ipvsadm
}

func (s service) address() string { return fmt.Sprintf("%s:%d", s.farm.virtual, s.port) }

var services = []service{
	{group: verdict.NAT, farm: farms[0], port: 80},
	{group: verdict.DR, farm: farms[1], port: 80},
	{group: verdict.TUN, farm: farms[2], port: 80},
	{group: verdict.Persistent, farm: farms[1], port: 81, options: "-p 300"},
	{group: verdict.UDP, farm: farms[0], port: 53, udp: true},
}

func serviceOf(group verdict.Group) service {
	for _, s := range services {
		if s.group == group {
			return s
		}
	}
	panic("no service for " + string(group))
}
