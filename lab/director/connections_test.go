package director

import (
	"net/netip"
	"testing"
	"time"
)

func TestConnectionsAreReadAsTheKernelPrintsThem(t *testing.T) {
	const plain = `Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Expires PEName PEData
TCP 0A000102 D0A2 C0000250 1F40 0A000215 1F40 ESTABLISHED     897
UDP 0A000102 0000 C0000250 1F41 0A000216 1F41 NONE            299
`
	const origin = `Pro FromIP   FPrt ToIP     TPrt DestIP   DPrt State       Origin Expires
TCP 0A000102 D0A2 C0000250 1F40 0A000215 1F40 SYN_RECV    SYNC        57
`
	client, virtual := netip.MustParseAddrPort("10.0.1.2:53410"), netip.MustParseAddrPort("192.0.2.80:8000")
	for _, test := range []struct {
		name, text string
		want       []Connection
	}{
		{"ip_vs_conn", plain, []Connection{
			{"TCP", client, virtual, netip.MustParseAddrPort("10.0.2.21:8000"), "ESTABLISHED", "", 897 * time.Second},
			{"UDP", netip.MustParseAddrPort("10.0.1.2:0"), netip.MustParseAddrPort("192.0.2.80:8001"),
				netip.MustParseAddrPort("10.0.2.22:8001"), "NONE", "", 299 * time.Second},
		}},
		{"ip_vs_conn_sync", origin, []Connection{
			{"TCP", client, virtual, netip.MustParseAddrPort("10.0.2.21:8000"), "SYN_RECV", "SYNC", 57 * time.Second},
		}},
	} {
		got, err := parseConnections([]byte(test.text))
		if err != nil {
			t.Errorf("%s: %v", test.name, err)
			continue
		}
		if len(got) != len(test.want) {
			t.Errorf("%s: %d connections, want %d", test.name, len(got), len(test.want))
			continue
		}
		for i := range got {
			if got[i] != test.want[i] {
				t.Errorf("%s: %+v, want %+v", test.name, got[i], test.want[i])
			}
		}
	}
}

func TestALineThatIsNoConnectionIsAnError(t *testing.T) {
	for _, text := range []string{"TCP 0A000102\n", "TCP zz D0A2 C0000250 1F40 0A000215 1F40 ESTABLISHED 897\n"} {
		if got, err := parseConnections([]byte(text)); err == nil {
			t.Errorf("%q gave %+v", text, got)
		}
	}
}
