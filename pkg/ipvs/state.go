package ipvs

// State is the state of a connection. What a number means depends on the
// protocol and on whether it is a template: see [StateName].
type State uint16

// TCP states (IP_VS_TCP_S_*).
const (
	TCPNone State = iota
	TCPEstablished
	TCPSynSent
	TCPSynRecv
	TCPFinWait
	TCPTimeWait
	TCPClose
	TCPCloseWait
	TCPLastAck
	TCPListen
	TCPSynAck
)

// UDPNormal is the only state of UDP (IP_VS_UDP_S_NORMAL).
const UDPNormal State = 0

// SCTP states (IP_VS_SCTP_S_*).
const (
	SCTPNone State = iota
	SCTPInit1
	SCTPInit
	SCTPCookieSent
	SCTPCookieReplied
	SCTPCookieWait
	SCTPCookie
	SCTPCookieEchoed
	SCTPEstablished
	SCTPShutdownSent
	SCTPShutdownReceived
	SCTPShutdownAckSent
	SCTPRejected
	SCTPClosed
)

// Template states (IP_VS_CTPL_S_*), the same for every protocol.
const (
	TemplateNone    State = 0
	TemplateAssured State = 1 // a connection of it was confirmed
)

var (
	tcpStates = [...]string{
		TCPNone:        "NONE",
		TCPEstablished: "ESTABLISHED",
		TCPSynSent:     "SYN_SENT",
		TCPSynRecv:     "SYN_RECV",
		TCPFinWait:     "FIN_WAIT",
		TCPTimeWait:    "TIME_WAIT",
		TCPClose:       "CLOSE",
		TCPCloseWait:   "CLOSE_WAIT",
		TCPLastAck:     "LAST_ACK",
		TCPListen:      "LISTEN",
		TCPSynAck:      "SYNACK",
	}
	udpStates  = [...]string{UDPNormal: "UDP"}
	sctpStates = [...]string{
		SCTPNone:             "NONE",
		SCTPInit1:            "INIT1",
		SCTPInit:             "INIT",
		SCTPCookieSent:       "C-SENT",
		SCTPCookieReplied:    "C-REPLIED",
		SCTPCookieWait:       "C-WAIT",
		SCTPCookie:           "COOKIE",
		SCTPCookieEchoed:     "C-ECHOED",
		SCTPEstablished:      "ESTABLISHED",
		SCTPShutdownSent:     "S-SENT",
		SCTPShutdownReceived: "S-RECEIVED",
		SCTPShutdownAckSent:  "S-ACK-SENT",
		SCTPRejected:         "REJECTED",
		SCTPClosed:           "CLOSED",
	}
	templateStates = [...]string{TemplateNone: "NONE", TemplateAssured: "ASSURED"}
)

// states returns the names of the states of a protocol, nil where IPVS keeps
// no state for it.
func states(p Protocol, template bool) []string {
	switch {
	case template:
		return templateStates[:]
	case p == TCP:
		return tcpStates[:]
	case p == UDP:
		return udpStates[:]
	case p == SCTP:
		return sctpStates[:]
	}
	return nil
}

// StateName returns the name in /proc/net/ip_vs_conn. As there, it is "ERR!"
// where the number is out of the protocol's range or the protocol has no
// states, and "NONE" for [IP].
func StateName(p Protocol, template bool, s State) string {
	names := states(p, template)
	switch {
	case int(s) < len(names):
		return names[s]
	case names == nil && p == IP:
		return "NONE"
	}
	return "ERR!"
}
