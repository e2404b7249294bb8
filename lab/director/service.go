package director

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// A Method is how a director forwards packets, as the option of ipvsadm.
type Method string

const (
	NAT Method = "--masquerading"
	DR  Method = "--gatewaying"
	TUN Method = "--ipip"
	GRE Method = TUN + " --tun-type gre"
	GUE Method = TUN + " --tun-type gue --tun-port 6080"
)

// GUEPort is where real servers take GUE.
const GUEPort = 6080

// Methods in the order in which tests go through them.
var Methods = []Method{NAT, DR, TUN}

func (m Method) String() string {
	return map[Method]string{NAT: "NAT", DR: "DR", TUN: "TUN", GRE: "GRE", GUE: "GUE"}[m]
}

// A Service is a virtual service and its real servers.
type Service struct {
	Protocol    string // "tcp", "udp" or "sctp"; empty: tcp
	Virtual     netip.AddrPort
	Firewall    int           // a mark, instead of Virtual, whose address says the family
	Scheduler   string        // empty: rr
	Persistence time.Duration // 0: not persistent
	Netmask     string        // of clients that persist together; empty: each for itself
	Engine      string        // of persistence, such as "sip"
	OnePacket   bool
	Method      Method
	Servers     []netip.AddrPort
}

// rules are lines for ipvsadm -R.
func (s Service) rules() string {
	which := fmt.Sprintf("-t %v", s.Virtual)
	switch {
	case s.Firewall != 0 && s.Virtual.Addr().Is6():
		which = fmt.Sprintf("-f %d -6", s.Firewall)
	case s.Firewall != 0:
		which = fmt.Sprintf("-f %d", s.Firewall)
	case s.Protocol == "udp":
		which = fmt.Sprintf("-u %v", s.Virtual)
	case s.Protocol == "sctp":
		which = fmt.Sprintf("--sctp-service %v", s.Virtual)
	}
	scheduler := s.Scheduler
	if scheduler == "" {
		scheduler = "rr"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "-A %s -s %s", which, scheduler)
	if s.Persistence != 0 {
		fmt.Fprintf(&b, " -p %d", s.Persistence/time.Second)
	}
	if s.Netmask != "" {
		fmt.Fprintf(&b, " -M %s", s.Netmask)
	}
	if s.Engine != "" {
		fmt.Fprintf(&b, " --pe %s", s.Engine)
	}
	if s.OnePacket {
		b.WriteString(" -o")
	}
	b.WriteByte('\n')
	for _, server := range s.Servers {
		fmt.Fprintf(&b, "-a %s -r %v %s -w 1\n", which, server, string(s.Method))
	}
	return b.String()
}
