package ipvs_test

import (
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

func addrPort(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

func established() ipvs.Conn {
	return ipvs.Conn{
		Protocol: ipvs.TCP,
		Client:   addrPort("192.0.2.1:40000"),
		Virtual:  addrPort("198.51.100.1:80"),
		Dest:     addrPort("10.0.0.1:8080"),
		State:    ipvs.TCPEstablished,
		Timeout:  15 * time.Minute,
		Age:      3 * time.Second,
		Marks:    ipvs.MarkLocal | ipvs.MarkBound,
	}
}

func sipTemplate() ipvs.Conn {
	return ipvs.Conn{
		Protocol: ipvs.UDP,
		Client:   addrPort("[2001:db8::1]:0"),
		Virtual:  addrPort("[2001:db8::100]:5060"),
		Dest:     addrPort("[fd00::1]:5060"),
		State:    ipvs.TemplateAssured,
		Flags:    ipvs.FlagTemplate | ipvs.Flags(ipvs.DirectRouting) | ipvs.FlagSync,
		Timeout:  6 * time.Minute,
		PEName:   "sip",
		PEData:   []byte("call-1"),
	}
}

func TestTextHasTheColumnsOfIpvsadm(t *testing.T) {
	tests := []struct {
		name string
		conn ipvs.Conn
		want string
	}{
		{"TCP through NAT", established(),
			"TCP 14:57  ESTABLISHED 192.0.2.1:40000    198.51.100.1:80    10.0.0.1:8080      Masq local bound"},
		{"template of a persistence engine, IPv6", sipTemplate(),
			`UDP 06:00  ASSURED     [2001:db8::1]:0    [2001:db8::100]:5060 [fd00::1]:5060     Route sip "call-1"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := tt.conn.String(); got != tt.want {
				t.Errorf("got\n%q, want\n%q", got, tt.want)
			}
		})
	}
}

func TestJSONNamesItsFieldsAndUnits(t *testing.T) {
	tests := []struct {
		name string
		conn ipvs.Conn
		want string
	}{
		{"TCP through NAT", established(),
			`{"protocol":"TCP","client":"192.0.2.1:40000","virtual":"198.51.100.1:80","dest":"10.0.0.1:8080",` +
				`"method":"Masq","state":"ESTABLISHED","flags":[],"template":false,"fwmark":0,` +
				`"timeout_ms":900000,"age_ms":3000,"remaining_ms":897000,"local":true,"known":false,"bound":true}`},
		{"template of a persistence engine", sipTemplate(),
			`{"protocol":"UDP","client":"[2001:db8::1]:0","virtual":"[2001:db8::100]:5060","dest":"[fd00::1]:5060",` +
				`"method":"Route","state":"ASSURED","flags":["SYNC","TEMPLATE"],"template":true,"fwmark":0,` +
				`"timeout_ms":360000,"age_ms":0,"remaining_ms":360000,` +
				`"pe_name":"sip","pe_data":"Y2FsbC0x","local":false,"known":false,"bound":false}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := json.Marshal(&tt.conn)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tt.want {
				t.Errorf("got\n%s, want\n%s", got, tt.want)
			}
		})
	}
}

func TestJSONShowsSequencesOnlyWhereTheFlagsSaySo(t *testing.T) {
	c := established()
	c.In = ipvs.Sequence{Init: 1, Delta: 2, PreviousDelta: 3}
	plain, err := json.Marshal(&c)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(plain), "in_seq") {
		t.Errorf("sequences without a flag: %s", plain)
	}
	c.Flags |= ipvs.FlagInSeq
	adjusted, err := json.Marshal(&c)
	if err != nil {
		t.Fatal(err)
	}
	want := `"in_seq":{"init":1,"delta":2,"previous_delta":3},"out_seq":{"init":0,"delta":0,"previous_delta":0}`
	if !strings.Contains(string(adjusted), want) {
		t.Errorf("got %s, want it to have %s", adjusted, want)
	}
}

func TestRemainingIsNeverNegative(t *testing.T) {
	for _, tt := range []struct{ timeout, age, want time.Duration }{
		{time.Minute, 0, time.Minute},
		{time.Minute, 20 * time.Second, 40 * time.Second},
		{time.Minute, time.Minute, 0},
		{time.Minute, time.Hour, 0},
		{0, time.Second, 0},
	} {
		c := ipvs.Conn{Timeout: tt.timeout, Age: tt.age}
		if got := c.Remaining(); got != tt.want {
			t.Errorf("timeout %v, age %v: remaining %v, want %v", tt.timeout, tt.age, got, tt.want)
		}
	}
}

func TestKeyIsTheTupleThatIPVSLooksUp(t *testing.T) {
	base := established()
	same := map[string]func(*ipvs.Conn){
		"another state":       func(c *ipvs.Conn) { c.State = ipvs.TCPFinWait },
		"another real server": func(c *ipvs.Conn) { c.Dest = addrPort("10.0.0.2:8080") },
		"another age":         func(c *ipvs.Conn) { c.Age = time.Hour },
		"another method":      func(c *ipvs.Conn) { c.Flags |= ipvs.Flags(ipvs.Tunnel) },
	}
	different := map[string]func(*ipvs.Conn){
		"protocol":              func(c *ipvs.Conn) { c.Protocol = ipvs.UDP },
		"client port":           func(c *ipvs.Conn) { c.Client = addrPort("192.0.2.1:40001") },
		"virtual address":       func(c *ipvs.Conn) { c.Virtual = addrPort("198.51.100.2:80") },
		"template":              func(c *ipvs.Conn) { c.Flags |= ipvs.FlagTemplate },
		"persistence engine":    func(c *ipvs.Conn) { c.PEName, c.PEData = "sip", []byte("a") },
		"persistence engine, 2": func(c *ipvs.Conn) { c.PEName, c.PEData = "sip", []byte("b") },
	}
	seen := map[ipvs.Key]string{base.Key(): "the connection itself"}
	for name, change := range same {
		c := base
		change(&c)
		if _, ok := seen[c.Key()]; !ok {
			t.Errorf("%s makes another key", name)
		}
	}
	for name, change := range different {
		c := base
		change(&c)
		if other, ok := seen[c.Key()]; ok {
			t.Errorf("%s: the key of %s", name, other)
		}
		seen[c.Key()] = name
	}
}

func TestCloneSharesNoMemory(t *testing.T) {
	c := sipTemplate()
	clone := c.Clone()
	c.PEData[0] = 'X'
	if string(clone.PEData) != "call-1" {
		t.Errorf("clone has %q", clone.PEData)
	}
}

func TestFlagsNameMethodAndBits(t *testing.T) {
	for _, tt := range []struct {
		flags ipvs.Flags
		want  string
	}{
		{0, "Masq"},
		{0x0001, "Local"},
		{0x0002, "Tunnel"},
		{0x0003, "Route"},
		{0x0004, "Bypass"},
		{0x0005, "method 5"},
		{0x0100 | 0x0600, "Masq|INACTIVE|OUT_SEQ|IN_SEQ"},
		{0x0800 | 0x0020, "Masq|SYNC|NO_CPORT"},
		{0x1000 | 0x0003, "Route|TEMPLATE"},
		{0x2000 | 0x0040 | 0x0080 | 0x10000, "Masq|HASHED|NOOUTPUT|ONE_PACKET|NFCT"},
		{0x8000_0008, "Masq|0x80000008"},
	} {
		if got := tt.flags.String(); got != tt.want {
			t.Errorf("%#x: %q, want %q", uint32(tt.flags), got, tt.want)
		}
	}
}

func TestStateNamesAreTheKernels(t *testing.T) {
	const last = "ERR!" // one past the range
	for _, tt := range []struct {
		protocol ipvs.Protocol
		template bool
		names    []string
	}{
		{ipvs.TCP, false, []string{"NONE", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT", "TIME_WAIT",
			"CLOSE", "CLOSE_WAIT", "LAST_ACK", "LISTEN", "SYNACK", last}},
		{ipvs.UDP, false, []string{"UDP", last}},
		{ipvs.SCTP, false, []string{"NONE", "INIT1", "INIT", "C-SENT", "C-REPLIED", "C-WAIT", "COOKIE", "C-ECHOED",
			"ESTABLISHED", "S-SENT", "S-RECEIVED", "S-ACK-SENT", "REJECTED", "CLOSED", last}},
		{ipvs.TCP, true, []string{"NONE", "ASSURED", last}},
		{ipvs.IP, true, []string{"NONE", "ASSURED", last}},
		{ipvs.IP, false, []string{"NONE", "NONE"}},
		{ipvs.Protocol(50), false, []string{last}},
	} {
		for s, want := range tt.names {
			if got := ipvs.StateName(tt.protocol, tt.template, ipvs.State(s)); got != want {
				t.Errorf("%v, template %v, state %d: %q, want %q", tt.protocol, tt.template, s, got, want)
			}
		}
	}
}

func TestProtocolNamesAreTheKernels(t *testing.T) {
	for p, want := range map[ipvs.Protocol]string{0: "IP", 6: "TCP", 17: "UDP", 132: "SCTP", 50: "IP_50"} {
		if got := p.String(); got != want {
			t.Errorf("%d: %q, want %q", uint8(p), got, want)
		}
	}
}

func TestTextIsAppendedWithoutAllocation(t *testing.T) {
	c := established()
	line := make([]byte, 0, 256)
	if n := testing.AllocsPerRun(100, func() { line = c.AppendTo(line[:0]) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkAppendTo(b *testing.B) {
	c := established()
	line := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		line = c.AppendTo(line[:0])
	}
}
