package ipvs

import "strconv"

// Protocol is the IP protocol number of a connection.
type Protocol uint8

// Protocols that IPVS keeps connections of.
const (
	IP   Protocol = 0 // template of a service known by its firewall mark
	TCP  Protocol = 6
	UDP  Protocol = 17
	SCTP Protocol = 132
)

// String returns the name in /proc/net/ip_vs_conn, which is "IP_" and the number
// where IPVS has none.
func (p Protocol) String() string {
	switch p {
	case IP:
		return "IP"
	case TCP:
		return "TCP"
	case UDP:
		return "UDP"
	case SCTP:
		return "SCTP"
	}
	return "IP_" + strconv.Itoa(int(p))
}
