package ipvs

import "strconv"

// Protocol is the IP protocol number of a connection.
type Protocol uint8

// Protocols that IPVS keeps connections of.
const (
	IP   Protocol = 0 // template of a service known by its firewall mark
	TCP  Protocol = 6
	UDP  Protocol = 17
	ESP  Protocol = 50
	AH   Protocol = 51
	SCTP Protocol = 132
)

// String returns the name in /proc/net/ip_vs_conn, or the number where IPVS
// has no name for it.
func (p Protocol) String() string {
	switch p {
	case IP:
		return "IP"
	case TCP:
		return "TCP"
	case UDP:
		return "UDP"
	case ESP:
		return "ESP"
	case AH:
		return "AH"
	case SCTP:
		return "SCTP"
	}
	return strconv.Itoa(int(p))
}
