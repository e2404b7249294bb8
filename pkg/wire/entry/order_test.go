package entry_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/entry"
)

// of returns a connection of a service and a real server, both by a letter.
func of(virtual, dest string, flags ipvs.Flags) ipvs.Conn {
	c := plainConn(0)
	c.Virtual = addr("198.51.100." + virtual)
	c.Dest = addr("10.0.0." + dest)
	c.Flags = flags
	return c
}

func TestOrdersByServiceAndRealServer(t *testing.T) {
	const T = ipvs.FlagTemplate
	marked := of("1:80", "1:80", 0)
	marked.Fwmark = 5
	udp := of("1:80", "1:80", 0)
	udp.Protocol = ipvs.UDP
	wide := of("1:0", "1:0", T)
	byMark := of("9:0", "1:0", T)
	byMark.Protocol, byMark.Fwmark = ipvs.IP, 9
	for _, tt := range []struct {
		name  string
		conns []ipvs.Conn
		want  []int32
	}{
		{"nothing", nil, nil},
		{"one", []ipvs.Conn{of("1:80", "1:80", 0)}, []int32{0}},
		{"real servers", []ipvs.Conn{
			of("1:80", "1:80", 0), of("1:80", "2:80", 0), of("1:80", "1:80", 0), of("1:80", "1:81", 0), of("1:80", "2:80", 0),
		}, []int32{0, 2, 1, 4, 3}},
		{"services, each with its real servers", []ipvs.Conn{
			of("1:80", "1:80", 0), of("2:80", "1:80", 0), of("1:80", "2:80", 0), of("1:81", "1:80", 0), of("2:80", "1:80", 0), of("1:80", "1:80", 0),
		}, []int32{0, 5, 2, 1, 4, 3}},
		{"protocol and firewall mark", []ipvs.Conn{
			of("1:80", "1:80", 0), marked, udp, of("1:80", "1:80", 0), marked, udp,
		}, []int32{0, 3, 1, 4, 2, 5}},
		{"a template before its connections", []ipvs.Conn{
			of("1:80", "1:80", 0), of("1:80", "2:80", 0), of("1:80", "1:80", T), of("1:80", "1:80", T),
		}, []int32{2, 3, 0, 1}},
		{"a template for every port before all", []ipvs.Conn{
			of("1:80", "1:80", 0), of("2:80", "1:80", T), wide, of("1:81", "1:81", 0), byMark, wide,
		}, []int32{2, 5, 4, 0, 1, 3}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var o entry.Order
			for range 2 { // and once more, with what was left behind
				if got := o.Of(tt.conns); !slices.Equal(got, tt.want) {
					t.Errorf("got %v, want %v", got, tt.want)
				}
			}
		})
	}
}

func TestOrderIsOfEveryConnectionOnce(t *testing.T) {
	w := newWorld()
	var o entry.Order
	for _, n := range []int{1, 2, 3, 740, 4000, 100, 0} {
		list := w.conns(n)
		checkOrder(t, list, o.Of(list))
	}
}

// checkOrder checks what an order promises, whatever the connections.
func checkOrder(t *testing.T, list []ipvs.Conn, order []int32) {
	t.Helper()
	if len(order) != len(list) {
		t.Fatalf("%d of %d", len(order), len(list))
	}
	type service struct {
		virtual  netip.AddrPort
		protocol ipvs.Protocol
		fwmark   uint32
	}
	type group struct {
		service
		dest netip.AddrPort
	}
	place := make(map[int32]int)
	services, groups := make(map[service]int), make(map[group]int)
	lastOfKind := make(map[group][2]int32)
	seenConn := make(map[group]bool)
	wideOver := false
	for at, i := range order {
		if _, twice := place[i]; twice {
			t.Fatalf("%d twice", i)
		}
		place[i] = at
		c := &list[i]
		s := service{c.Virtual, c.Protocol, c.Fwmark}
		g := group{s, c.Dest}
		if last, ok := services[s]; ok && last != at-1 {
			t.Fatalf("service %v at %d and at %d", s, last, at)
		}
		services[s] = at
		if last, ok := groups[g]; ok && last != at-1 {
			t.Fatalf("real server %v at %d and at %d", g, last, at)
		}
		groups[g] = at
		kind := 0
		if c.Template() {
			kind = 1
			if seenConn[g] {
				t.Fatalf("template %d behind a connection of its real server", i)
			}
		} else {
			seenConn[g] = true
		}
		last := lastOfKind[g]
		if i < last[kind] {
			t.Fatalf("%d behind %d", i, last[kind])
		}
		last[kind] = i
		lastOfKind[g] = last
		if c.Virtual.Port() != 0 {
			wideOver = true
		} else if c.Template() && wideOver && onlyTemplates(list, s.virtual) {
			t.Fatalf("template %d for every port behind others", i)
		}
	}
}

// onlyTemplates reports whether there are no connections of a virtual address
// with port 0, as it is in IPVS.
func onlyTemplates(list []ipvs.Conn, virtual netip.AddrPort) bool {
	return !slices.ContainsFunc(list, func(c ipvs.Conn) bool { return c.Virtual == virtual && !c.Template() })
}

func TestOrdersWithoutAllocation(t *testing.T) {
	list := newWorld().conns(oneRead)
	var o entry.Order
	o.Of(list)
	if n := testing.AllocsPerRun(100, func() { o.Of(list) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
