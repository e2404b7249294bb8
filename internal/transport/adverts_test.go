package transport_test

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/cluster"
	"github.com/ssyncp/ssyncp/internal/engine"
	"github.com/ssyncp/ssyncp/internal/netnstest"
	"github.com/ssyncp/ssyncp/internal/transport"
)

const maxSize = 1208

// advertOptions are those of version 1.
func advertOptions() transport.Options {
	o := modes[0].options()
	o.MaxSize = maxSize
	return o
}

func openAdverts(t testing.TB, ns *netnstest.Namespace, o transport.Options) *transport.Adverts {
	t.Helper()
	var link *transport.Adverts
	var err error
	ns.Do(t, func() { link, err = transport.OpenAdverts(o) })
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { link.Close() })
	return link
}

// Version 1 has adverts of one size, to the group and nobody else.
func TestAdvertsOfVersion1(t *testing.T) {
	l := labWithStrangers(t)
	l.peer.IP(t, "link set eth0 mtu 9000")
	l.here.IP(t, "link set eth0 mtu 9000")
	good := packet{mode: modes[0], ttl: 255, source: "192.0.2.1", destination: "224.0.0.81", device: "eth0", payload: make([]byte, maxSize)}
	for _, tt := range []struct {
		name   string
		change func(*packet)
		drop   transport.Drop
	}{
		{"to this host", func(p *packet) { p.destination = "192.0.2.2" }, transport.DropDestination},
		{"one byte too long", func(p *packet) { p.payload = make([]byte, maxSize+1) }, transport.DropTooLong},
		{"much too long", func(p *packet) { p.payload = make([]byte, 8000) }, transport.DropTooLong},
	} {
		t.Run(tt.name, func(t *testing.T) {
			o := advertOptions()
			receiver := openAdverts(t, l.here, o)
			late := time.AfterFunc(10*time.Second, receiver.Unblock)
			defer late.Stop()
			p := good
			tt.change(&p)
			l.send(t, p)
			l.send(t, good)
			got, err := receiver.Receive()
			if err != nil || len(got) != 1 || !bytes.Equal(got[0], good.payload) {
				t.Errorf("received %d adverts, %v", len(got), err)
			}
			if n, total := dropped(o.Counters, tt.drop); n != 1 || total != 1 {
				t.Errorf("counted %d under its reason, %d in all", n, total)
			}
		})
	}
}

func TestAdvertsNeedTheirRoom(t *testing.T) {
	l := newLab(t)
	o := advertOptions()
	link := openAdverts(t, l.here, o)
	if link.Room() != maxSize {
		t.Errorf("room for %d bytes", link.Room())
	}
	l.here.IP(t, "link set eth0 mtu 1300")
	if _, err := check(t, l.here, link.Link); err != nil {
		t.Errorf("with a smaller MTU that is enough: %v", err)
	}
	l.here.IP(t, "link set eth0 mtu 1227")
	if _, err := check(t, l.here, link.Link); !errors.Is(err, transport.ErrMTU) {
		t.Errorf("with too small an MTU: %v", err)
	}
}

func TestUnblockEndsReceiveOfAdverts(t *testing.T) {
	l := newLab(t)
	o := advertOptions()
	o.Group = netip.MustParseAddr("224.0.0.82")
	link := openAdverts(t, l.here, o)
	time.AfterFunc(10*time.Millisecond, link.Unblock)
	if got, err := link.Receive(); len(got) > 0 || !errors.Is(err, transport.ErrUnblocked) {
		t.Errorf("received %d adverts, %v", len(got), err)
	}
}

// What the two versions of the protocol are run on.
var (
	_ cluster.Link = (*transport.Link)(nil)
	_ engine.Link  = (*transport.Adverts)(nil)
)
