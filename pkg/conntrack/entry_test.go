package conntrack_test

import (
	"net/netip"
	"testing"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

func TestAnswers(t *testing.T) {
	for _, tt := range []struct {
		protocol conntrack.Protocol
		typ, by  uint8
	}{
		{conntrack.ICMP, 8, 0},
		{conntrack.ICMP, 13, 14},
		{conntrack.ICMP, 15, 16},
		{conntrack.ICMP, 17, 18},
		{conntrack.ICMP, 3, 3},
		{conntrack.ICMPv6, 128, 129},
		{conntrack.ICMPv6, 139, 140},
		{conntrack.ICMPv6, 8, 8},
		{conntrack.TCP, 8, 8},
	} {
		of := func(typ uint8) netip.AddrPort {
			return netip.AddrPortFrom(netip.MustParseAddr("192.0.2.1"), uint16(typ)<<8|7)
		}
		for _, pair := range [][2]uint8{{tt.typ, tt.by}, {tt.by, tt.typ}} {
			if got := conntrack.AnswerOf(tt.protocol, of(pair[0])); got != of(pair[1]) {
				t.Errorf("%v %d: %v, want %v", tt.protocol, pair[0], got, of(pair[1]))
			}
		}
	}
}

func TestTranslations(t *testing.T) {
	at := netip.MustParseAddrPort
	const none, source, dest, foreign = 0, 1, 2, 4
	for _, tt := range []struct {
		name       string
		src, dst   string // of the reply
		status     conntrack.Status
		translated int
	}{
		{"none", "198.51.100.1:80", "192.0.2.1:1024", 0, none},
		{"masquerading", "198.51.100.1:80", "203.0.113.1:1024", conntrack.SourceNAT, source},
		{"another port", "198.51.100.1:80", "192.0.2.1:1025", conntrack.SourceNAT, source},
		{"port forwarding", "10.0.0.1:8080", "192.0.2.1:1024", conntrack.DestNAT, dest},
		{"both", "10.0.0.1:8080", "203.0.113.1:1024", conntrack.SourceNAT | conntrack.DestNAT, source | dest},
		{"IPVS", "10.0.0.1:8080", "192.0.2.1:1024", 0, dest | foreign},
		{"IPVS behind masquerading", "10.0.0.1:8080", "203.0.113.1:1024", conntrack.SourceNAT, source | dest | foreign},
	} {
		e := conntrack.Entry{
			Protocol: conntrack.TCP, Status: tt.status,
			Original: conntrack.Tuple{Source: at("192.0.2.1:1024"), Destination: at("198.51.100.1:80")},
			Reply:    conntrack.Tuple{Source: at(tt.src), Destination: at(tt.dst)},
		}
		got := none
		for bit, is := range map[int]bool{source: e.TranslatedSource(), dest: e.TranslatedDestination(), foreign: e.ForeignTranslation()} {
			if is {
				got |= bit
			}
		}
		if got != tt.translated {
			t.Errorf("%s: %b, want %b", tt.name, got, tt.translated)
		}
		e.Reply = e.Untranslated()
		if e.TranslatedSource() || e.TranslatedDestination() {
			t.Errorf("%s: untranslated is %v", tt.name, &e)
		}
	}
}

func TestStatesFollowEachOther(t *testing.T) {
	for _, tt := range []struct {
		protocol conntrack.Protocol
		states   []conntrack.State
	}{
		{conntrack.TCP, []conntrack.State{
			conntrack.TCPSynSent, conntrack.TCPSynRecv, conntrack.TCPEstablished, conntrack.TCPFinWait,
			conntrack.TCPCloseWait, conntrack.TCPLastAck, conntrack.TCPTimeWait, conntrack.TCPClose,
		}},
		{conntrack.TCP, []conntrack.State{conntrack.TCPSynSent2, conntrack.TCPSynRecv}},
		{conntrack.SCTP, []conntrack.State{
			conntrack.SCTPCookieWait, conntrack.SCTPCookieEchoed, conntrack.SCTPEstablished,
			conntrack.SCTPShutdownSent, conntrack.SCTPShutdownAckSent, conntrack.SCTPClosed,
		}},
		{conntrack.SCTP, []conntrack.State{conntrack.SCTPHeartbeatSent, conntrack.SCTPEstablished}},
	} {
		for i, s := range tt.states[1:] {
			if before := tt.states[i]; conntrack.Progress(tt.protocol, s) <= conntrack.Progress(tt.protocol, before) {
				t.Errorf("%v: %s is not behind %s", tt.protocol, conntrack.StateName(tt.protocol, s), conntrack.StateName(tt.protocol, before))
			}
		}
	}
	if n := conntrack.Progress(conntrack.UDP, 3); n != 0 {
		t.Errorf("UDP: %d", n)
	}
}

func TestStatesHaveNames(t *testing.T) {
	for _, tt := range []struct {
		protocol         conntrack.Protocol
		state            conntrack.State
		name             string
		opening, closing bool
	}{
		{conntrack.TCP, conntrack.TCPSynRecv, "SYN_RECV", true, false},
		{conntrack.TCP, conntrack.TCPSynSent2, "SYN_SENT2", true, false},
		{conntrack.TCP, conntrack.TCPEstablished, "ESTABLISHED", false, false},
		{conntrack.TCP, conntrack.TCPClose, "CLOSE", false, true},
		{conntrack.TCP, 200, "200", false, false},
		{conntrack.SCTP, conntrack.SCTPCookieEchoed, "COOKIE_ECHOED", true, false},
		{conntrack.SCTP, conntrack.SCTPEstablished, "ESTABLISHED", false, false},
		{conntrack.SCTP, conntrack.SCTPShutdownAckSent, "SHUTDOWN_ACK_SENT", false, true},
		{conntrack.UDP, 0, "", false, false},
		{conntrack.UDP, 3, "3", false, false},
	} {
		if got := conntrack.StateName(tt.protocol, tt.state); got != tt.name {
			t.Errorf("%v %d: %q, want %q", tt.protocol, tt.state, got, tt.name)
		}
		if o, c := conntrack.Opening(tt.protocol, tt.state), conntrack.Closing(tt.protocol, tt.state); o != tt.opening || c != tt.closing {
			t.Errorf("%v %s: opening %v, closing %v", tt.protocol, tt.name, o, c)
		}
	}
}
