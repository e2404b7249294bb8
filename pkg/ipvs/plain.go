package ipvs

// Plain is a connection as nearly all are: IPv4, without sequence adjustment,
// persistence engine or time. Its addresses and ports are as on the wire, so
// that between two codecs they are moved and not looked at. Everything else
// takes a [Conn].
type Plain struct {
	Ports                 [6]byte // of client, virtual service and real server
	Client, Virtual, Dest [4]byte
	Protocol              Protocol
	State                 State
	Flags                 Flags
}
