package guest

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// What a reader in capture mode is told, and what not.
func TestCapture(t *testing.T) {
	director.LoadModule(t)
	lab := topology.New(t, 1, 1)
	a := lab.Directors[0]
	service := lab.AddService(t, director.Service{Method: director.NAT}, 80)
	direct := lab.AddService(t, director.Service{Method: director.DR}, 81)
	persistent := lab.AddService(t, director.Service{Method: director.NAT, Persistence: 5 * time.Minute}, 82)
	datagrams := lab.AddService(t, director.Service{Method: director.NAT, Protocol: "udp"}, 53)
	onePacket := lab.AddService(t, director.Service{Method: director.DR, Protocol: "udp", OnePacket: true}, 54)
	for _, port := range []uint16{80, 81, 82} {
		serve(t, lab, "tcp", port)
	}
	for _, port := range []uint16{53, 54} {
		serve(t, lab, "udp", port)
	}
	client := traffic.Client{Namespace: lab.Client}
	udp := traffic.Client{Namespace: lab.Client, Network: "udp"}
	device := capture(t, a)
	// run begins with nothing to read, and with nothing that closes.
	run := func(name string, test func(t *testing.T)) {
		time.Sleep(200 * time.Millisecond)
		readNews(t, device)
		t.Run(name, test)
	}

	run("a connection is told once a read, in its state of that moment", func(t *testing.T) {
		stream := open(t, client, service)
		exchange(t, stream)
		news := readNews(t, device)
		if len(news) != 1 {
			t.Fatalf("%d records, want 1: %v", len(news), news)
		}
		c := news[0]
		if c.Protocol != ipvs.TCP || c.State != ipvs.TCPEstablished || c.Client != stream.Local() ||
			c.Virtual != service || c.Dest.Addr() != lab.Servers[0].Address || c.Method() != ipvs.Masquerade {
			t.Errorf("told %v", &c)
		}
		if c.Marks != ipvs.MarkLocal|ipvs.MarkBound {
			t.Errorf("marks %03b, want local, bound and not known before", c.Marks)
		}
		if c.Timeout != 15*time.Minute || c.Age > time.Second {
			t.Errorf("timeout %v, age %v", c.Timeout, c.Age)
		}
		exchange(t, stream)
		if news := readNews(t, device); len(news) != 0 {
			t.Errorf("packets in a known state are news: %v", news)
		}
	})

	run("each change of state between two reads is told", func(t *testing.T) {
		stream := open(t, client, service)
		readNews(t, device)
		if err := stream.Close(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Millisecond)
		news := readNews(t, device)
		if len(news) != 1 || news[0].State != ipvs.TCPTimeWait || news[0].Marks&ipvs.MarkKnown == 0 {
			t.Errorf("told %v, want one known connection in TIME_WAIT", news)
		}
	})

	run("what is over before it was ever told is not told", func(t *testing.T) {
		before := counter(t, a, chardev.CounterSkippedClosing)
		stream, err := client.Open(2, service)
		if err != nil {
			t.Fatal(err)
		}
		stream.Close()
		time.Sleep(100 * time.Millisecond)
		if news := readNews(t, device); len(news) != 0 {
			t.Errorf("told %v", news)
		}
		if skipped := counter(t, a, chardev.CounterSkippedClosing) - before; skipped != 1 {
			t.Errorf("%d counted as skipped, want 1", skipped)
		}
	})

	run("a half-closed connection is told, for it may live on", func(t *testing.T) {
		stream, err := client.Open(3, direct)
		if err != nil {
			t.Fatal(err)
		}
		stream.Close() // with DR the director sees only the client's FIN
		time.Sleep(100 * time.Millisecond)
		news := readNews(t, device)
		if len(news) != 1 || news[0].State != ipvs.TCPFinWait {
			t.Errorf("told %v, want one connection in FIN_WAIT", news)
		}
	})

	run("a template goes before its first connection and not with the second", func(t *testing.T) {
		first := open(t, client, persistent)
		news := readNews(t, device)
		if len(news) != 2 || !news[0].Template() || news[1].Client != first.Local() {
			t.Fatalf("told %v, want the template, then the connection", news)
		}
		if news[0].Timeout != 5*time.Minute {
			t.Errorf("timeout of the template: %v, want the service's persistence", news[0].Timeout)
		}
		second := open(t, client, persistent)
		news = readNews(t, device)
		if len(news) != 1 || news[0].Client != second.Local() {
			t.Errorf("told %v, want the second connection alone", news)
		}
	})

	run("sync_persist_mode tells templates only", func(t *testing.T) {
		a.Set(t, "sync_persist_mode", "1")
		defer a.Set(t, "sync_persist_mode", "0")
		before := counter(t, a, chardev.CounterSkippedPersist)
		open(t, client, persistent)
		for _, c := range readNews(t, device) {
			if !c.Template() {
				t.Errorf("told %v", &c)
			}
		}
		if counter(t, a, chardev.CounterSkippedPersist) == before {
			t.Error("not counted as skipped")
		}
	})

	run("a flow of datagrams is told once", func(t *testing.T) {
		flow := open(t, udp, datagrams)
		news := readNews(t, device)
		if len(news) != 1 || news[0].Protocol != ipvs.UDP || news[0].Client != flow.Local() {
			t.Errorf("told %v", news)
		}
		exchange(t, flow)
		if news := readNews(t, device); len(news) != 0 {
			t.Errorf("told again: %v", news)
		}
	})

	run("one-packet scheduling is never told", func(t *testing.T) {
		for range 10 {
			exchange(t, open(t, udp, onePacket))
		}
		if news := readNews(t, device); len(news) != 0 {
			t.Errorf("told %v", news)
		}
	})

	run("traffic renews what was told, at the refresh period", func(t *testing.T) {
		a.Set(t, "sync_refresh_period", "1")
		defer a.Set(t, "sync_refresh_period", "0")
		stream := open(t, client, service)
		readNews(t, device)
		time.Sleep(1100 * time.Millisecond)
		if news := readNews(t, device); len(news) != 0 {
			t.Errorf("renewed without traffic: %v", news)
		}
		exchange(t, stream)
		if news := readNews(t, device); len(news) != 1 {
			t.Errorf("told %v, want the connection again", news)
		}
	})
}

// Who may read, and what becomes of the queue when the reader goes.
func TestCaptureReaders(t *testing.T) {
	director.LoadModule(t)
	lab := topology.New(t, 1, 1)
	a := lab.Directors[0]
	service := lab.AddService(t, director.Service{Method: director.NAT}, 80)
	serve(t, lab, "tcp", 80)
	client := traffic.Client{Namespace: lab.Client}

	t.Run("nobody attached: nothing in the packet path", func(t *testing.T) {
		open(t, client, service)
		if stats := a.Stats(t); stats.State != 0 || stats.Counters[chardev.CounterQueued] != 0 {
			t.Errorf("state %v, queued %d", stats.State, stats.Counters[chardev.CounterQueued])
		}
	})

	t.Run("a namespace has one reader", func(t *testing.T) {
		device := capture(t, a)
		defer device.Close()
		second := a.Open(t)
		err := second.Attach(chardev.AttachOptions{Mode: chardev.ModeCapture})
		if !errors.Is(err, chardev.ErrBusy) {
			t.Errorf("attaching a second one: %v, want ErrBusy", err)
		}
	})

	t.Run("a queue that lingers is picked up whole", func(t *testing.T) {
		first := a.Attach(t, chardev.AttachOptions{Mode: chardev.ModeCapture, Linger: 20 * time.Second})
		before := open(t, client, service)
		first.Close()
		if state := a.Stats(t).State; state&chardev.StateLingering == 0 {
			t.Errorf("state %v, want lingering", state)
		}
		between := open(t, client, service)
		second := capture(t, a)
		defer second.Close()
		told := make(map[string]bool)
		for _, c := range readNews(t, second) {
			told[c.Client.String()] = true
		}
		if !told[before.Local().String()] || !told[between.Local().String()] || len(told) != 2 {
			t.Errorf("told %v, want %v and %v", told, before.Local(), between.Local())
		}
	})

	t.Run("a queue that does not linger is dropped, and its connections are news again", func(t *testing.T) {
		first := capture(t, a)
		stream := open(t, client, service)
		first.Close()
		stats := a.Stats(t)
		if stats.Counters[chardev.CounterDroppedDrained] == 0 {
			t.Error("the drop is not counted")
		}
		if stats.State != 0 {
			t.Errorf("state %v, want nothing left", stats.State)
		}
		second := capture(t, a)
		defer second.Close()
		exchange(t, stream)
		if news := readNews(t, second); len(news) != 1 || news[0].Client != stream.Local() {
			t.Errorf("told %v", news)
		}
	})

	t.Run("a linger that ends leaves nothing behind", func(t *testing.T) {
		first := a.Attach(t, chardev.AttachOptions{Mode: chardev.ModeCapture, Linger: 200 * time.Millisecond})
		open(t, client, service)
		first.Close()
		eventually(t, 5*time.Second, func() bool { return a.Stats(t).State == 0 }, "the queue is still there")
		director.UnloadModule(t)
		director.LoadModule(t)
	})
}

// Two synchronizers must not write the same fields.
func TestCaptureBesideTheInKernelMaster(t *testing.T) {
	director.LoadModule(t)
	lab := topology.New(t, 1, 1)
	a := lab.Directors[0]
	service := lab.AddService(t, director.Service{Method: director.NAT}, 80)
	serve(t, lab, "tcp", 80)
	client := traffic.Client{Namespace: lab.Client}
	device := capture(t, a)

	a.IPVSAdm(t, "--start-daemon", "master", "--mcast-interface", director.SyncLink)
	if _, events := readAll(t, device); events != chardev.EventMasterRunning {
		t.Fatalf("events %v, want master running", events)
	}
	stream := open(t, client, service)
	if news := readNews(t, device); len(news) != 0 {
		t.Errorf("told while the master runs: %v", news)
	}
	a.IPVSAdm(t, "--stop-daemon", "master")
	_, events := readAll(t, device)
	if events != chardev.EventMasterStopped|chardev.EventLost {
		t.Fatalf("events %v, want master stopped, and lost", events)
	}
	exchange(t, stream)
	if news := readNews(t, device); len(news) != 1 || news[0].Client != stream.Local() {
		t.Errorf("told %v, want the connection of before", news)
	}
}

func open(t testing.TB, c traffic.Client, to netip.AddrPort) *traffic.Stream {
	t.Helper()
	stream, err := c.Open(1, to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { stream.Close() })
	return stream
}

func exchange(t testing.TB, s *traffic.Stream) {
	t.Helper()
	if err := s.Exchange(); err != nil {
		t.Fatal(err)
	}
}

// eventually waits until something holds.
func eventually(t testing.TB, limit time.Duration, holds func() bool, otherwise string) {
	t.Helper()
	for began := time.Now(); time.Since(began) < limit; time.Sleep(20 * time.Millisecond) {
		if holds() {
			return
		}
	}
	t.Errorf("after %v: %s", limit, otherwise)
}
