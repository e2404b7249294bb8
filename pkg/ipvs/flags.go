package ipvs

import "strconv"

// Flags are the IP_VS_CONN_F_* of a connection. The lowest three bits are not
// flags but the forwarding method: see [Flags.Method].
type Flags uint32

// The flags of include/uapi/linux/ip_vs.h.
const (
	FlagMethodMask Flags = 0x0007 // IP_VS_CONN_F_FWD_MASK
	FlagSync       Flags = 0x0020 // created by synchronization
	FlagHashed     Flags = 0x0040 // in the connection table: local, never sent
	FlagNoOutput   Flags = 0x0080 // the director sees no packets of the real server
	FlagInactive   Flags = 0x0100 // counted as inactive
	FlagOutSeq     Flags = 0x0200 // sequence adjustment towards the client
	FlagInSeq      Flags = 0x0400 // sequence adjustment towards the real server
	FlagSeqMask    Flags = FlagOutSeq | FlagInSeq
	FlagNoCPort    Flags = 0x0800  // client port not known yet
	FlagTemplate   Flags = 0x1000  // persistence template, not a connection
	FlagOnePacket  Flags = 0x2000  // one packet scheduling
	FlagNFCT       Flags = 1 << 16 // netfilter conntrack in use

	// FlagBackupMask are the flags that a director takes over from a peer
	// (IP_VS_CONN_F_BACKUP_MASK).
	FlagBackupMask = FlagMethodMask | FlagNoOutput | FlagInactive | FlagSeqMask | FlagNoCPort | FlagTemplate
)

// Method is how packets reach the real server.
type Method uint8

// Forwarding methods, the low bits of [Flags].
const (
	Masquerade    Method = 0 // NAT
	LocalNode     Method = 1 // the director is the real server
	Tunnel        Method = 2 // TUN: IPIP, GUE or GRE
	DirectRouting Method = 3 // DR
	Bypass        Method = 4 // cache bypass: to the original destination
)

// String returns the name that ipvsadm lists.
func (m Method) String() string {
	switch m {
	case Masquerade:
		return "Masq"
	case LocalNode:
		return "Local"
	case Tunnel:
		return "Tunnel"
	case DirectRouting:
		return "Route"
	case Bypass:
		return "Bypass"
	}
	return "method " + strconv.Itoa(int(m))
}

// Method returns the forwarding method.
func (f Flags) Method() Method { return Method(f & FlagMethodMask) }

// flagNames is in the order of the bits.
var flagNames = [...]struct {
	flag Flags
	name string
}{
	{FlagSync, "SYNC"},
	{FlagHashed, "HASHED"},
	{FlagNoOutput, "NOOUTPUT"},
	{FlagInactive, "INACTIVE"},
	{FlagOutSeq, "OUT_SEQ"},
	{FlagInSeq, "IN_SEQ"},
	{FlagNoCPort, "NO_CPORT"},
	{FlagTemplate, "TEMPLATE"},
	{FlagOnePacket, "ONE_PACKET"},
	{FlagNFCT, "NFCT"},
}

// AppendNames appends the names of the flags that are set, without the
// forwarding method. Bits without a name come last, as one hexadecimal number.
func (f Flags) AppendNames(names []string) []string {
	rest := f &^ FlagMethodMask
	for _, n := range flagNames {
		if f&n.flag != 0 {
			names = append(names, n.name)
			rest &^= n.flag
		}
	}
	if rest != 0 {
		names = append(names, "0x"+strconv.FormatUint(uint64(rest), 16))
	}
	return names
}

// String returns the forwarding method and the names of the flags, as in
// "Masq|INACTIVE|IN_SEQ".
func (f Flags) String() string {
	s := f.Method().String()
	for _, name := range f.AppendNames(nil) {
		s += "|" + name
	}
	return s
}
