package guest

import (
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// injection is a director with services, and a device to write to.
type injection struct {
	*director.Director
	lab    *topology.Topology
	device *chardev.Device
	server netip.Addr
	next   uint16
}

// Ports of the services of an injection; nothing listens on unknownPort.
const (
	natPort, drPort, tunPort = 80, 81, 82
	persistentPort           = 83
	unknownPort              = 99
)

// persistence is longer than that of a template that knows no better.
const persistence = time.Hour

func newInjection(t testing.TB, parameters ...string) *injection {
	t.Helper()
	director.LoadModule(t, parameters...)
	lab := topology.New(t, 1, 2)
	lab.AddService(t, director.Service{Method: director.NAT}, natPort)
	lab.AddService(t, director.Service{Method: director.DR}, drPort)
	lab.AddService(t, director.Service{Method: director.TUN}, tunPort)
	lab.AddService(t, director.Service{Method: director.NAT, Persistence: persistence}, persistentPort)
	a := lab.Directors[0]
	return &injection{
		Director: a, lab: lab, server: lab.Servers[0].Address, next: 40000,
		device: a.Attach(t, chardev.AttachOptions{Mode: chardev.ModeInject}),
	}
}

// established is a connection of a new client port that may be injected.
func (in *injection) established(port uint16, method ipvs.Method) ipvs.Conn {
	in.next++
	return ipvs.Conn{
		Protocol: ipvs.TCP, State: ipvs.TCPEstablished, Flags: ipvs.Flags(method),
		Client:  netip.AddrPortFrom(netip.MustParseAddr("10.0.1.2"), in.next),
		Virtual: netip.AddrPortFrom(topology.Virtual, port),
		Dest:    netip.AddrPortFrom(in.server, port),
		Timeout: 15 * time.Minute,
	}
}

// template is the persistence template of a new client address.
func (in *injection) template() ipvs.Conn {
	in.next++
	return ipvs.Conn{
		Protocol: ipvs.TCP, State: ipvs.TemplateAssured, Flags: ipvs.FlagTemplate,
		Client:  netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 9, byte(in.next >> 8), byte(in.next)}), 0),
		Virtual: netip.AddrPortFrom(topology.Virtual, persistentPort),
		Dest:    netip.AddrPortFrom(in.server, persistentPort),
		Timeout: persistence,
	}
}

func (in *injection) mustKnow(t testing.TB, key ipvs.Key) ipvs.Conn {
	t.Helper()
	c, is := known(t, in.Director, key)
	if !is {
		t.Fatalf("%v is not in the table", key)
	}
	return c
}

// What peers advertised becomes connections, as they say it.
func TestInject(t *testing.T) {
	in := newInjection(t)

	t.Run("a copy is as the record says, bound, and not local", func(t *testing.T) {
		for port, method := range map[uint16]ipvs.Method{
			natPort: ipvs.Masquerade, drPort: ipvs.DirectRouting, tunPort: ipvs.Tunnel,
		} {
			c := in.established(port, method)
			c.Age = 2 * time.Second
			injectOne(t, in.device, c)
			got := in.mustKnow(t, c.Key())
			if got.State != c.State || got.Dest != c.Dest || got.Method() != method || got.Timeout != c.Timeout {
				t.Errorf("wrote %v\n have %v", &c, &got)
			}
			if got.Flags&ipvs.FlagSync == 0 || got.Marks != ipvs.MarkBound|ipvs.MarkKnown {
				t.Errorf("flags %v, marks %03b: want a bound, known copy", got.Flags, got.Marks)
			}
			if age := got.Age - c.Age; age < 0 || age > time.Second {
				t.Errorf("age %v, written %v: a copy gets the rest of its lifetime", got.Age, c.Age)
			}
		}
	})

	t.Run("when it was written last is known", func(t *testing.T) {
		const pause = 1200 * time.Millisecond
		c := in.established(natPort, ipvs.Masquerade)
		c.Age = time.Minute
		began := time.Now()
		injectOne(t, in.device, c)
		time.Sleep(pause)
		// jiffies may be a few milliseconds coarse.
		if got := in.mustKnow(t, c.Key()); got.Advert < pause-50*time.Millisecond || got.Advert > time.Since(began)+50*time.Millisecond {
			t.Errorf("written %v ago, and that is said to be %v", time.Since(began), got.Advert)
		}
		again := time.Now()
		c.Age = 10 * time.Second
		injectOne(t, in.device, c)
		if got := in.mustKnow(t, c.Key()); got.Advert < 1 || got.Advert > time.Since(again)+50*time.Millisecond {
			t.Errorf("written again %v ago, and that is said to be %v", time.Since(again), got.Advert)
		}
	})

	t.Run("a timeout of 0 is the protocol's own, for a template its service's", func(t *testing.T) {
		in.IPVSAdm(t, "--set", "600", "60", "200")
		c, template := in.established(natPort, ipvs.Masquerade), in.template()
		c.Timeout, template.Timeout = 0, 0
		injectOne(t, in.device, c)
		injectOne(t, in.device, template)
		if got := in.mustKnow(t, c.Key()); got.Timeout != 10*time.Minute {
			t.Errorf("connection: %v, want the 600 s of ipvsadm --set", got.Timeout)
		}
		if got := in.mustKnow(t, template.Key()); got.Timeout != persistence {
			t.Errorf("template: %v, want the service's %v", got.Timeout, persistence)
		}
	})

	t.Run("sequence adjustment is kept", func(t *testing.T) {
		c := in.established(natPort, ipvs.Masquerade)
		c.Flags |= ipvs.FlagInSeq | ipvs.FlagOutSeq
		c.In = ipvs.Sequence{Init: 1, Delta: 2, PreviousDelta: 3}
		c.Out = ipvs.Sequence{Init: 4, Delta: 5, PreviousDelta: 6}
		injectOne(t, in.device, c)
		if got := in.mustKnow(t, c.Key()); got.In != c.In || got.Out != c.Out {
			t.Errorf("in %v out %v", got.In, got.Out)
		}
	})

	t.Run("news of a known connection updates it, once", func(t *testing.T) {
		c := in.established(natPort, ipvs.Masquerade)
		injectOne(t, in.device, c)
		before := counter(t, in.Director, chardev.CounterUpdated)
		c.State, c.Flags, c.Timeout = ipvs.TCPFinWait, c.Flags|ipvs.FlagInactive, 2*time.Minute
		injectOne(t, in.device, c)
		got := in.mustKnow(t, c.Key())
		if got.State != ipvs.TCPFinWait || got.Timeout != 2*time.Minute || got.Flags&ipvs.FlagInactive == 0 {
			t.Errorf("have %v", &got)
		}
		if counter(t, in.Director, chardev.CounterUpdated) != before+1 {
			t.Error("not counted as an update")
		}
	})

	t.Run("the real server's counters follow", func(t *testing.T) {
		active, inactive := in.serverConns(t, drPort)
		c := in.established(drPort, ipvs.DirectRouting)
		injectOne(t, in.device, c)
		if a, i := in.serverConns(t, drPort); a != active+1 || i != inactive {
			t.Errorf("established: %d active %d inactive, want one active more than %d, %d", a, i, active, inactive)
		}
		c.State, c.Flags = ipvs.TCPFinWait, c.Flags|ipvs.FlagInactive
		injectOne(t, in.device, c)
		if a, i := in.serverConns(t, drPort); a != active || i != inactive+1 {
			t.Errorf("closing: %d active %d inactive, want %d and one inactive more than %d", a, i, active, inactive)
		}
	})

	t.Run("older news is stale, whatever it says", func(t *testing.T) {
		c := in.established(natPort, ipvs.Masquerade)
		injectOne(t, in.device, c)
		late := c
		late.State, late.Age = ipvs.TCPSynRecv, 10*time.Second
		if refused := inject(t, in.device, late); refused[0] != chardev.RefusedStale || len(refused) != 1 {
			t.Errorf("refused %v, want stale", refused)
		}
		if got := in.mustKnow(t, c.Key()); got.State != ipvs.TCPEstablished {
			t.Errorf("state turned back to %s", got.StateName())
		}
	})

	t.Run("a step in its life is news if it is a little older, a step back is not", func(t *testing.T) {
		for _, step := range []struct {
			from, to ipvs.State
			older    time.Duration
			stale    bool
		}{
			{ipvs.TCPSynRecv, ipvs.TCPEstablished, 100 * time.Millisecond, false},
			{ipvs.TCPEstablished, ipvs.TCPFinWait, 100 * time.Millisecond, false},
			{ipvs.TCPFinWait, ipvs.TCPTimeWait, 100 * time.Millisecond, false},
			{ipvs.TCPSynRecv, ipvs.TCPEstablished, 2 * time.Second, true},
			{ipvs.TCPEstablished, ipvs.TCPSynRecv, 100 * time.Millisecond, true},
			{ipvs.TCPTimeWait, ipvs.TCPEstablished, 100 * time.Millisecond, true},
		} {
			var c, late ipvs.Conn
			var refused map[int]chardev.Reason
			// The record is older by what it says, as long as it is there
			// as soon as that.
			eventually(t, 10*time.Second, func() bool {
				c = in.established(natPort, ipvs.Masquerade)
				c.State = step.from
				late = c
				late.State, late.Age = step.to, step.older
				began := time.Now()
				injectOne(t, in.device, c)
				refused = inject(t, in.device, late)
				return time.Since(began) < step.older/2
			}, "two writes take too long")
			want := step.to
			if step.stale {
				want = step.from
			}
			if got := in.mustKnow(t, c.Key()); got.State != want || (len(refused) > 0) != step.stale {
				t.Errorf("%s behind %s, %v older: refused %v, state %s", late.StateName(), c.StateName(), step.older, refused, got.StateName())
			}
		}
	})

	t.Run("another real server replaces the copy, unless it is closing news", func(t *testing.T) {
		c := in.established(natPort, ipvs.Masquerade)
		injectOne(t, in.device, c)
		moved := c
		moved.Dest = netip.AddrPortFrom(in.lab.Servers[1].Address, natPort)
		moved.Flags |= ipvs.FlagInactive
		moved.State = ipvs.TCPClose
		if refused := inject(t, in.device, moved); refused[0] != chardev.RefusedConflict || len(refused) != 1 {
			t.Errorf("closing news of another one: refused %v, want conflict", refused)
		}
		moved.Flags &^= ipvs.FlagInactive
		moved.State = ipvs.TCPEstablished
		injectOne(t, in.device, moved)
		eventually(t, 2*time.Second, func() bool {
			got := in.mustKnow(t, c.Key())
			return got.Dest == moved.Dest
		}, "the old real server is still there")
	})

	t.Run("a template moves to another real server", func(t *testing.T) {
		template := in.template()
		template.Flags |= ipvs.FlagInactive // as IPVS leaves it on templates
		injectOne(t, in.device, template)
		template.Dest = netip.AddrPortFrom(in.lab.Servers[1].Address, persistentPort)
		injectOne(t, in.device, template)
		eventually(t, 2*time.Second, func() bool {
			got := in.mustKnow(t, template.Key())
			return got.Dest == template.Dest
		}, "the old real server is still there")
	})

	t.Run("a refused record leaves the connection that it names alone", func(t *testing.T) {
		c := in.established(natPort, ipvs.Masquerade)
		injectOne(t, in.device, c)
		forged := c
		forged.Dest = netip.MustParseAddrPort("203.0.113.1:80")
		if refused := inject(t, in.device, forged); refused[0] != chardev.RefusedNoDest || len(refused) != 1 {
			t.Errorf("refused %v, want no_dest", refused)
		}
		time.Sleep(100 * time.Millisecond)
		if got := in.mustKnow(t, c.Key()); got.Dest != c.Dest {
			t.Errorf("have %v", &got)
		}
	})

	t.Run("a template is found by what it is, not by a port", func(t *testing.T) {
		template := in.template()
		injectOne(t, in.device, template)
		injectOne(t, in.device, template)
		count := 0
		for _, c := range snapshot(t, in.Director, false) {
			if c.Key() == template.Key() {
				count++
			}
		}
		if count != 1 {
			t.Errorf("%d in the table, want 1", count)
		}
	})

	t.Run("a copy that gets traffic is local, and held against peers", func(t *testing.T) {
		serve(t, in.lab, "tcp", natPort)
		reader := capture(t, in.Director)
		defer reader.Close()
		stream := open(t, traffic.Client{Namespace: in.lab.Client}, netip.AddrPortFrom(topology.Virtual, natPort))
		exchange(t, stream)
		readNews(t, reader)
		var mine ipvs.Conn
		for _, c := range snapshot(t, in.Director, true) {
			if c.Client == stream.Local() {
				mine = c
			}
		}
		if mine.Marks&ipvs.MarkLocal == 0 {
			t.Fatalf("not local: %v", &mine)
		}
		forged := mine
		forged.Age, forged.State = 0, ipvs.TCPClose
		if refused := inject(t, in.device, forged); refused[0] != chardev.RefusedLocalHold || len(refused) != 1 {
			t.Errorf("refused %v, want local_hold", refused)
		}
		exchange(t, stream)
	})
}

// serverConns adds up what ipvsadm shows for the real servers of a service.
func (in *injection) serverConns(t testing.TB, port uint16) (active, inactive int) {
	t.Helper()
	text, err := in.ReadFile("ip_vs")
	if err != nil {
		t.Fatal(err)
	}
	active, inactive, err = serviceConns(string(text), fmt.Sprintf("%04X", port))
	if err != nil {
		t.Fatal(err)
	}
	return active, inactive
}

// Each way in which a record says what may not be has its own reason, and
// leaves nothing behind.
func TestInjectRefuses(t *testing.T) {
	in := newInjection(t)
	sixth := netip.MustParseAddr("2001:db8::1")
	tests := []struct {
		name   string
		change func(*ipvs.Conn)
		want   chardev.Reason
	}{
		{"a dead connection", func(c *ipvs.Conn) { c.Age = c.Timeout }, chardev.RefusedExpired},
		{"an unknown protocol", func(c *ipvs.Conn) { c.Protocol = 47 }, chardev.RefusedProtocol},
		{"a protocol of templates only", func(c *ipvs.Conn) { c.Protocol = ipvs.IP }, chardev.RefusedProtocol},
		{"a state out of TCP's range", func(c *ipvs.Conn) { c.State = 11 }, chardev.RefusedState},
		{"a state out of UDP's range", func(c *ipvs.Conn) { c.Protocol, c.State = ipvs.UDP, 1 }, chardev.RefusedState},
		{"a state out of a template's range", func(c *ipvs.Conn) {
			*c = in.template()
			c.State = 2
		}, chardev.RefusedState},
		{"one-packet scheduling", func(c *ipvs.Conn) { c.Flags |= ipvs.FlagOnePacket }, chardev.RefusedFlags},
		{"an unknown forwarding method", func(c *ipvs.Conn) { c.Flags |= 5 }, chardev.RefusedFlags},
		{"a template with a client port", func(c *ipvs.Conn) {
			*c = in.template()
			c.Client = netip.AddrPortFrom(c.Client.Addr(), 1)
		}, chardev.RefusedFlags},
		{"client port 0", func(c *ipvs.Conn) { c.Client = netip.AddrPortFrom(c.Client.Addr(), 0) }, chardev.RefusedFlags},
		{"no client port, established", func(c *ipvs.Conn) {
			c.Client = netip.AddrPortFrom(c.Client.Addr(), 0)
			c.Flags |= ipvs.FlagNoCPort
		}, chardev.RefusedFlags},
		{"no client port, with DR", func(c *ipvs.Conn) {
			c.Client = netip.AddrPortFrom(c.Client.Addr(), 0)
			c.Flags |= ipvs.FlagNoCPort | ipvs.Flags(ipvs.DirectRouting)
			c.State = ipvs.TCPListen
		}, chardev.RefusedFlags},
		{"a template without client port", func(c *ipvs.Conn) {
			*c = in.template()
			c.Flags |= ipvs.FlagNoCPort
		}, chardev.RefusedFlags},
		{"a persistence engine that is not loaded", func(c *ipvs.Conn) {
			*c = in.template()
			c.PEName, c.PEData = "none", []byte("call-id")
		}, chardev.RefusedPE},
		{"an unknown service", func(c *ipvs.Conn) {
			c.Virtual = netip.AddrPortFrom(c.Virtual.Addr(), unknownPort)
		}, chardev.RefusedNoDest},
		{"an unknown real server", func(c *ipvs.Conn) {
			c.Dest = netip.MustParseAddrPort("203.0.113.1:80")
		}, chardev.RefusedNoDest},
		{"an unknown real server, of a template", func(c *ipvs.Conn) {
			*c = in.template()
			c.Dest = netip.MustParseAddrPort("203.0.113.1:80")
		}, chardev.RefusedNoDest},
		{"no client port, of a service that is not FTP", func(c *ipvs.Conn) {
			c.Client = netip.AddrPortFrom(c.Client.Addr(), 0)
			c.Flags |= ipvs.FlagNoCPort
			c.State = ipvs.TCPListen
		}, chardev.RefusedNoDest},
		{"no client port, of a passive FTP port without an FTP service", func(c *ipvs.Conn) {
			c.Client = netip.AddrPortFrom(c.Client.Addr(), 0)
			c.Virtual = netip.AddrPortFrom(topology.Virtual, 5000)
			c.Dest = netip.AddrPortFrom(in.server, 5000)
			c.Flags |= ipvs.FlagNoCPort
			c.State = ipvs.TCPListen
		}, chardev.RefusedNoDest},
		{"a real server of another family", func(c *ipvs.Conn) {
			c.Dest = netip.AddrPortFrom(sixth, natPort)
		}, chardev.RefusedNoDest},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := in.established(natPort, ipvs.Masquerade)
			test.change(&c)
			before := in.Stats(t)
			good := in.established(natPort, ipvs.Masquerade)
			refused := inject(t, in.device, c, good)
			if reason, is := refused[0]; !is || reason != test.want || len(refused) != 1 {
				t.Fatalf("refused %v, want record 0 for %v", refused, test.want)
			}
			after := in.Stats(t)
			if after.Refused(test.want) != before.Refused(test.want)+1 {
				t.Errorf("refused_%v is %d, was %d", test.want, after.Refused(test.want), before.Refused(test.want))
			}
			if after.ConnCount != before.ConnCount+1 {
				t.Errorf("%d connections, were %d: want the good one alone", after.ConnCount, before.ConnCount)
			}
		})
	}
}

// Limits that an administrator sets.
func TestInjectPolicy(t *testing.T) {
	in := newInjection(t, "max_conns=3", "max_timeout=60", "local_hold_ms=2000")

	t.Run("max_timeout is a ceiling", func(t *testing.T) {
		c := in.established(natPort, ipvs.Masquerade)
		c.Timeout = 24 * time.Hour
		injectOne(t, in.device, c)
		if got := in.mustKnow(t, c.Key()); got.Timeout != time.Minute {
			t.Errorf("timeout %v", got.Timeout)
		}
		if counter(t, in.Director, chardev.CounterClamped) != 1 {
			t.Error("not counted")
		}
	})

	t.Run("max_conns is a cap", func(t *testing.T) {
		for range 2 {
			injectOne(t, in.device, in.established(natPort, ipvs.Masquerade))
		}
		refused := inject(t, in.device, in.established(natPort, ipvs.Masquerade))
		if refused[0] != chardev.RefusedTableFull || len(refused) != 1 {
			t.Errorf("refused %v, want table_full", refused)
		}
	})

	t.Run("accept_unbound creates NAT and DR without their server, never TUN or a template", func(t *testing.T) {
		set := func(name, value string) {
			if err := os.WriteFile("/sys/module/ssyncp/parameters/"+name, []byte(value), 0); err != nil {
				t.Fatal(err)
			}
		}
		set("max_conns", "0")
		set("accept_unbound", "1")
		nowhere := netip.MustParseAddrPort("203.0.113.1:80")
		for port, method := range map[uint16]ipvs.Method{natPort: ipvs.Masquerade, drPort: ipvs.DirectRouting} {
			c := in.established(port, method)
			c.Dest = nowhere
			injectOne(t, in.device, c)
			if got := in.mustKnow(t, c.Key()); got.Marks&ipvs.MarkBound != 0 {
				t.Errorf("bound: %v", &got)
			}
		}
		for _, c := range []ipvs.Conn{in.established(tunPort, ipvs.Tunnel), in.template(), in.established(natPort, ipvs.Bypass), in.established(natPort, ipvs.LocalNode)} {
			c.Dest = nowhere
			if refused := inject(t, in.device, c); refused[0] != chardev.RefusedNoDest || len(refused) != 1 {
				t.Errorf("%v: refused %v, want no_dest", &c, refused)
			}
		}
	})

	t.Run("local_hold_ms is how long peers have no say", func(t *testing.T) {
		serve(t, in.lab, "tcp", natPort)
		stream := open(t, traffic.Client{Namespace: in.lab.Client}, netip.AddrPortFrom(topology.Virtual, natPort))
		exchange(t, stream)
		var mine ipvs.Conn
		for _, c := range snapshot(t, in.Director, true) {
			if c.Client == stream.Local() {
				mine = c
			}
		}
		mine.State, mine.Timeout, mine.Age = ipvs.TCPFinWait, 30*time.Second, 0
		eventually(t, 10*time.Second, func() bool { return len(inject(t, in.device, mine)) == 0 },
			"what a peer says is still refused")
		if got := in.mustKnow(t, mine.Key()); got.State != ipvs.TCPFinWait || got.Marks&ipvs.MarkLocal != 0 {
			t.Errorf("have %v, want what the peer said", &got)
		}
		if held := in.Stats(t); held.Refused(chardev.RefusedLocalHold) == 0 {
			t.Error("it was not held at all")
		}
	})

	t.Run("a copy binds when its real server appears", func(t *testing.T) {
		c := in.established(natPort, ipvs.Masquerade)
		c.Dest = netip.MustParseAddrPort("203.0.113.2:80")
		injectOne(t, in.device, c)
		in.IPVSAdm(t, "-a", "-t", fmt.Sprintf("%v:%d", topology.Virtual, natPort), "-r", "203.0.113.2:80", "-m")
		injectOne(t, in.device, c)
		if got := in.mustKnow(t, c.Key()); got.Marks&ipvs.MarkBound == 0 {
			t.Errorf("still unbound: %v", &got)
		}
	})
}

// What is let in for FTP's data connections, and what is not.
func TestInjectFTP(t *testing.T) {
	in := newInjection(t)
	in.lab.AddService(t, director.Service{Method: director.NAT}, 21)
	data := func(change func(*ipvs.Conn)) ipvs.Conn {
		c := in.established(5000, ipvs.Masquerade)
		c.State = ipvs.TCPListen
		change(&c)
		return c
	}
	noPort := func(c *ipvs.Conn) {
		c.Client = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 7, byte(in.next >> 8), byte(in.next)}), 0)
		c.Flags |= ipvs.FlagNoCPort
	}
	tests := []struct {
		name    string
		conn    ipvs.Conn
		refused bool
	}{
		{"passive, before its client port is known", data(noPort), false},
		{"passive, with its client port", data(func(*ipvs.Conn) {}), false},
		{"active, from port 20", data(func(c *ipvs.Conn) {
			c.Virtual = netip.AddrPortFrom(topology.Virtual, 20)
			c.Dest = netip.AddrPortFrom(in.server, 20)
		}), false},
		{"passive, to another port of the real server", data(func(c *ipvs.Conn) {
			c.Dest = netip.AddrPortFrom(in.server, 22)
		}), true},
		{"passive, to a privileged port", data(func(c *ipvs.Conn) {
			c.Virtual = netip.AddrPortFrom(topology.Virtual, 23)
			c.Dest = netip.AddrPortFrom(in.server, 23)
		}), true},
		{"active, to another port than the one below its control port", data(func(c *ipvs.Conn) {
			c.Virtual = netip.AddrPortFrom(topology.Virtual, 20)
			c.Dest = netip.AddrPortFrom(in.server, 22)
		}), true},
		{"passive, to a server that is not one", data(func(c *ipvs.Conn) {
			c.Dest = netip.MustParseAddrPort("203.0.113.1:5000")
		}), true},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			refused := inject(t, in.device, test.conn)
			if !test.refused {
				if len(refused) != 0 {
					t.Fatalf("refused: %v", refused)
				}
				if got := in.mustKnow(t, test.conn.Key()); got.Marks&ipvs.MarkBound == 0 {
					t.Errorf("not bound: %v", &got)
				}
				return
			}
			if refused[0] != chardev.RefusedNoDest || len(refused) != 1 {
				t.Errorf("refused %v, want no_dest", refused)
			}
		})
	}

	t.Run("the port that a client turns out to have is learnt", func(t *testing.T) {
		before := data(noPort)
		injectOne(t, in.device, before)
		after := before
		after.Client = netip.AddrPortFrom(before.Client.Addr(), 45678)
		after.Flags &^= ipvs.FlagNoCPort
		after.State = ipvs.TCPEstablished
		injectOne(t, in.device, after)
		in.mustKnow(t, after.Key())
		if _, is := known(t, in.Director, before.Key()); is {
			t.Error("the wildcard is still there")
		}
	})
}

// Nothing is configured yet: refused, and nothing breaks.
func TestInjectWithoutAnyService(t *testing.T) {
	director.LoadModule(t)
	lab := topology.New(t, 1, 1)
	in := &injection{
		Director: lab.Directors[0], lab: lab, server: lab.Servers[0].Address,
		device: lab.Directors[0].Attach(t, chardev.AttachOptions{Mode: chardev.ModeInject}),
	}
	for _, c := range []ipvs.Conn{in.established(natPort, ipvs.Masquerade), in.template()} {
		if refused := inject(t, in.device, c); refused[0] != chardev.RefusedNoDest || len(refused) != 1 {
			t.Errorf("%v: refused %v, want no_dest", &c, refused)
		}
	}
}
