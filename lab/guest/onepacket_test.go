package guest

import (
	"testing"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
)

// A service that schedules each packet by itself has nothing that could be
// copied: its flows are nobody's, and go on through any director. What another
// service has beside it is copied.
func TestOnePacketScheduling(t *testing.T) {
	const (
		port      = 5300
		onePort   = 5301
		datagrams = 10
	)
	director.LoadModule(t)
	lab := topology.New(t, 2, 2)
	a, b := lab.Directors[0], lab.Directors[1]
	serve(t, lab, "udp", port)
	serve(t, lab, "udp", onePort)
	flow := lab.AddService(t, director.Service{Protocol: "udp", Method: director.DR}, port)
	single := lab.AddService(t, director.Service{Protocol: "udp", Method: director.DR, OnePacket: true}, onePort)
	relay := newRelay(t, a, b)
	udp := traffic.Client{Namespace: lab.Client, Network: "udp"}

	bound := open(t, udp, flow)
	for range datagrams {
		open(t, udp, single)
	}
	if passed := relay.pass(t); len(passed) != 1 || passed[0].Client != bound.Local() {
		t.Errorf("director A told %v, want the flow of %v alone", passed, bound.Local())
	}
	if pairs := compare(t, a, b); len(pairs) != 1 {
		t.Errorf("%d connections and their copies, want the flow alone", len(pairs))
	}
	relay.failOver(t, lab)
	exchange(t, bound)
	open(t, udp, single)
	if on := b.Connections(t); len(on) != 1 {
		t.Errorf("director B knows %v, want the flow alone", on)
	}
}
