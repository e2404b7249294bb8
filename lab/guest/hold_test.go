package guest

import (
	"maps"
	"net/netip"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// A forged record cannot touch a connection that had packets here within
// local_hold, neither by its name nor by another that its packets would match.
func TestForgedRecordTouchesNothingInUse(t *testing.T) {
	in := newForgery(t)
	serve(t, in.lab, "tcp", natPort)
	serve(t, in.lab, "tcp", persistentPort)
	reader := capture(t, in.Director)
	client := traffic.Client{Namespace: in.lab.Client}
	plain := open(t, client, netip.AddrPortFrom(topology.Virtual, natPort))
	persistent := open(t, client, netip.AddrPortFrom(topology.Virtual, persistentPort))
	exchange(t, plain)
	exchange(t, persistent)
	readNews(t, reader)
	var mine, template ipvs.Conn
	for _, c := range snapshot(t, in.Director, true) {
		switch {
		case c.Client == plain.Local():
			mine = c
		case c.Template():
			template = c
		}
	}
	if mine.Marks&ipvs.MarkLocal == 0 || template.Marks&ipvs.MarkLocal == 0 {
		t.Fatalf("not local: %v, %v", &mine, &template)
	}
	other := func(c ipvs.Conn) netip.AddrPort {
		for _, server := range in.lab.Servers {
			if server.Address != c.Dest.Addr() {
				return netip.AddrPortFrom(server.Address, c.Dest.Port())
			}
		}
		return netip.AddrPort{}
	}
	for name, change := range map[string]func(*ipvs.Conn){
		"it is closed":               func(c *ipvs.Conn) { c.State = ipvs.TCPClose },
		"it is about to expire":      func(c *ipvs.Conn) { c.Timeout = time.Millisecond },
		"it lives for a day":         func(c *ipvs.Conn) { c.Timeout = 24 * time.Hour },
		"it has another real server": func(c *ipvs.Conn) { c.Dest = other(*c) },
		"its sequence numbers move": func(c *ipvs.Conn) {
			c.Flags |= ipvs.FlagInSeq | ipvs.FlagOutSeq
			c.In, c.Out = ipvs.Sequence{Delta: 7}, ipvs.Sequence{Delta: 7}
		},
		"it is inactive": func(c *ipvs.Conn) { c.Flags |= ipvs.FlagInactive },
		"its real server has it from another virtual address": func(c *ipvs.Conn) {
			c.Virtual = netip.AddrPortFrom(otherVirtual, otherVirtualPort)
		},
		"its client's template has another real server": func(c *ipvs.Conn) {
			*c = template
			c.Dest = other(*c)
		},
		"its client's template is about to expire": func(c *ipvs.Conn) {
			*c = template
			c.Timeout = time.Millisecond
		},
	} {
		t.Run(name, func(t *testing.T) {
			forged := mine
			change(&forged)
			forged.Age = 0
			visit := open(t, client, netip.AddrPortFrom(topology.Virtual, persistentPort))
			exchange(t, plain)
			// Beside these the table has visits, which end as they like.
			concerned := func() map[ipvs.Key]ipvs.Conn {
				found := table(t, in.Director)
				maps.DeleteFunc(found, func(key ipvs.Key, _ ipvs.Conn) bool {
					return key != mine.Key() && key != template.Key() && key != forged.Key()
				})
				return found
			}
			before := concerned()
			if refused := inject(t, in.device, forged); refused[0] != chardev.RefusedLocalHold || len(refused) != 1 {
				t.Errorf("%v: refused %v, want local_hold", &forged, refused)
			}
			if after := concerned(); !sameTable(before, after) {
				t.Errorf("%v left its mark:\n before %v\n after  %v", &forged, before, after)
			}
			exchange(t, plain)
			if again := open(t, client, netip.AddrPortFrom(topology.Virtual, persistentPort)); again.Server != visit.Server {
				t.Errorf("the client was with %s and comes to %s", visit.Server, again.Server)
			}
		})
	}
}
