package conntrack

import "strconv"

// Protocol is an IP protocol.
type Protocol uint8

// Protocols of which more than addresses is tracked.
const (
	ICMP    Protocol = 1
	TCP     Protocol = 6
	UDP     Protocol = 17
	DCCP    Protocol = 33
	GRE     Protocol = 47
	ICMPv6  Protocol = 58
	SCTP    Protocol = 132
	UDPLite Protocol = 136
)

var protocolNames = map[Protocol]string{
	ICMP: "ICMP", TCP: "TCP", UDP: "UDP", DCCP: "DCCP", GRE: "GRE", ICMPv6: "ICMPv6", SCTP: "SCTP", UDPLite: "UDPLite",
}

// String returns the name, or the number.
func (p Protocol) String() string {
	if name, ok := protocolNames[p]; ok {
		return name
	}
	return strconv.Itoa(int(p))
}

// State is one of a protocol's, as the kernel numbers them; 0 where the
// protocol has none.
type State uint8

// States of TCP.
const (
	TCPNone State = iota
	TCPSynSent
	TCPSynRecv
	TCPEstablished
	TCPFinWait
	TCPCloseWait
	TCPLastAck
	TCPTimeWait
	TCPClose
	TCPSynSent2
	tcpStates
)

// States of SCTP.
const (
	SCTPNone State = iota
	SCTPClosed
	SCTPCookieWait
	SCTPCookieEchoed
	SCTPEstablished
	SCTPShutdownSent
	SCTPShutdownRecd
	SCTPShutdownAckSent
	SCTPHeartbeatSent
	sctpStates
)

var (
	tcpNames = [tcpStates]string{
		"NONE", "SYN_SENT", "SYN_RECV", "ESTABLISHED", "FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSE", "SYN_SENT2",
	}
	sctpNames = [sctpStates]string{
		"NONE", "CLOSED", "COOKIE_WAIT", "COOKIE_ECHOED", "ESTABLISHED", "SHUTDOWN_SENT", "SHUTDOWN_RECD", "SHUTDOWN_ACK_SENT", "HEARTBEAT_SENT",
	}
)

// States returns the names of a protocol's states, in the kernel's order; none
// where it has none.
func States(p Protocol) []string {
	switch p {
	case TCP:
		return tcpNames[:]
	case SCTP:
		return sctpNames[:]
	}
	return nil
}

// StateName returns the name of a state, or its number; "" where the protocol
// has none.
func StateName(p Protocol, s State) string {
	names := States(p)
	switch {
	case int(s) < len(names):
		return names[s]
	case names == nil && s == 0:
		return ""
	}
	return strconv.Itoa(int(s))
}

// Closing reports whether a state leads to the end of the connection.
func Closing(p Protocol, s State) bool {
	switch p {
	case TCP:
		return s >= TCPFinWait && s <= TCPClose
	case SCTP:
		return s == SCTPClosed || s >= SCTPShutdownSent && s <= SCTPShutdownAckSent
	}
	return false
}

// Progress returns how far a state is in the life of a connection: of two that it
// has had, the later one has the greater. It is 0 where the protocol has no states.
func Progress(p Protocol, s State) int {
	switch {
	case p == TCP && s == TCPSynSent2:
		return int(TCPSynSent)
	case p == TCP:
		return int(s)
	case p == SCTP && s == SCTPClosed:
		return int(sctpStates)
	case p == SCTP && s == SCTPHeartbeatSent: // of a path, not of the association
		return int(SCTPNone)
	case p == SCTP:
		return int(s)
	}
	return 0
}

// Opening reports whether a connection is not established yet.
func Opening(p Protocol, s State) bool {
	switch p {
	case TCP:
		return s <= TCPSynRecv || s == TCPSynSent2
	case SCTP:
		return s == SCTPNone || s == SCTPCookieWait || s == SCTPCookieEchoed
	}
	return false
}
