package guest

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/netns"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// Everything that can happen to a director at the same time as everything
// else: a kernel with debuggers is what judges it. `make stress` says how long.
func TestStress(t *testing.T) {
	text := os.Getenv("STRESS")
	if text == "" {
		t.Skip("STRESS says for how long; without it, not at all")
	}
	limit, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("under traffic", func(t *testing.T) { newStress(t).run(t, limit) })

	// A reference that was kept would keep its namespace, or make the kernel
	// say that objects are left where it destroys their cache.
	var out []byte
	eventually(t, time.Minute, func() bool {
		out, err = modprobe("-ra", ipvsModules...)
		return err == nil
	}, "IPVS cannot be unloaded")
	if err != nil {
		t.Errorf("modprobe -r: %v\n%s", err, out)
	}
	if out, err := modprobe("-a", ipvsModules...); err != nil {
		t.Fatalf("modprobe: %v\n%s", err, out)
	}
}

var ipvsModules = []string{"ip_vs_rr", "ip_vs_wlc", "ip_vs"}

const (
	stressPort       = 8000
	stressStickyPort = 8001
	stressUDPPort    = 5300
	stressReloads    = 20
)

// A stress is a cluster of two that things happen to.
type stress struct {
	*cluster
	services []director.Service

	wg   sync.WaitGroup
	quit chan struct{}
}

func newStress(t *testing.T) *stress {
	s := &stress{cluster: newCluster(t, 2, 2), quit: make(chan struct{})}
	serve(t, s.Topology, "tcp", stressPort)
	serve(t, s.Topology, "tcp", stressStickyPort)
	serve(t, s.Topology, "udp", stressUDPPort)
	for port, service := range map[uint16]director.Service{
		stressPort:       {},
		stressStickyPort: {Persistence: time.Minute},
		stressUDPPort:    {Protocol: "udp"},
	} {
		service.Method = director.NAT
		service.Virtual = netip.AddrPortFrom(topology.Virtual, port)
		for _, server := range s.Servers {
			service.Servers = append(service.Servers, netip.AddrPortFrom(server.Address, port))
		}
		s.services = append(s.services, service)
		for _, d := range s.Directors {
			d.AddService(t, service)
		}
	}
	return s
}

// run lets one thing after the other happen, in random order, until the time is
// over and the module was reloaded often enough.
func (s *stress) run(t *testing.T, limit time.Duration) {
	virtual := netip.AddrPortFrom(topology.Virtual, stressPort)
	tcp := traffic.Client{Namespace: s.Client}
	churns := []*traffic.Churn{
		tcp.Churn(50, virtual),
		tcp.Churn(20, netip.AddrPortFrom(topology.Virtual, stressStickyPort)),
		traffic.Client{Namespace: s.Client, Network: "udp"}.Churn(50, netip.AddrPortFrom(topology.Virtual, stressUDPPort)),
	}
	s.background(func() error { return traffic.Flood(s.Client, topology.Flood, virtual, 50, 500) })
	defer func() {
		close(s.quit)
		s.wg.Wait()
		opened := 0
		for _, churn := range churns {
			n, _ := churn.Stop() // what a flush cuts off fails
			opened += n
		}
		if opened == 0 {
			t.Error("no traffic passed")
		}
		t.Logf("%d connections", opened)
	}()

	events := []struct {
		name string
		of   func(*testing.T)
	}{
		{"a daemon is killed, and another picks up its queue", s.killDaemon},
		{"services are flushed", s.flush},
		{"a service goes and comes", s.removeService},
		{"a real server goes and comes", s.removeServer},
		{"the in-kernel daemons come and go", s.inKernelDaemons},
		{"namespaces end under open descriptors", s.abandonNamespace},
		{"tables are read", s.readTables},
		{"somebody interposes on top of the module", s.interpose},
		{"the module is reloaded", s.reload},
	}
	count := make([]int, len(events))
	reload := len(events) - 1
	for began := time.Now(); time.Since(began) < limit || count[reload] < stressReloads; {
		i := rand.IntN(len(events))
		if time.Since(began) >= limit {
			i = reload
		}
		events[i].of(t)
		count[i]++
		if t.Failed() {
			t.Fatalf("behind this: %s", events[i].name)
		}
	}
	for i, event := range events {
		t.Logf("%4d times: %s", count[i], event.name)
	}
}

// background does something over and over until the end.
func (s *stress) background(do func() error) {
	s.wg.Go(func() {
		for {
			select {
			case <-s.quit:
				return
			default:
				// Where the network is just being changed it may fail.
				_ = do()
			}
		}
	})
}

func (s *stress) anyDirector() (int, *director.Director) {
	i := rand.IntN(len(s.Directors))
	return i, s.Directors[i]
}

func pause() { time.Sleep(rand.N(300 * time.Millisecond)) }

func (s *stress) killDaemon(t *testing.T) {
	i, _ := s.anyDirector()
	s.daemons[i].Kill(t)
	pause()
	s.start(t, i)
}

func (s *stress) flush(t *testing.T) {
	_, d := s.anyDirector()
	d.IPVSAdm(t, "--clear")
	pause()
	for _, service := range s.services {
		d.AddService(t, service)
	}
}

func (s *stress) anyService() (service director.Service, which []string) {
	service = s.services[rand.IntN(len(s.services))]
	protocol := "--tcp-service"
	if service.Protocol == "udp" {
		protocol = "--udp-service"
	}
	return service, []string{protocol, service.Virtual.String()}
}

func (s *stress) removeService(t *testing.T) {
	_, d := s.anyDirector()
	service, which := s.anyService()
	d.IPVSAdm(t, append([]string{"--delete-service"}, which...)...)
	pause()
	d.AddService(t, service)
}

func (s *stress) removeServer(t *testing.T) {
	_, d := s.anyDirector()
	service, which := s.anyService()
	which = append(which, "--real-server", service.Servers[0].String())
	d.IPVSAdm(t, append([]string{"--delete-server"}, which...)...)
	pause()
	d.IPVSAdm(t, append([]string{"--add-server", string(service.Method)}, which...)...)
}

func (s *stress) inKernelDaemons(t *testing.T) {
	_, d := s.anyDirector()
	for _, state := range []string{"master", "backup"} {
		d.IPVSAdm(t, "--start-daemon", state, "--mcast-interface", director.SyncLink)
	}
	pause()
	for _, state := range []string{"master", "backup"} {
		d.IPVSAdm(t, "--stop-daemon", state)
	}
}

// abandonNamespace leaves a namespace with services, connections and a queue to
// its descriptors, and closes these one after the other.
func (s *stress) abandonNamespace(t *testing.T) {
	n, err := netns.New(fmt.Sprintf("stress%d", rand.Uint32()))
	if err != nil {
		t.Fatal(err)
	}
	d := &director.Director{Namespace: n}
	for _, service := range s.services {
		d.AddService(t, service)
	}
	reader := d.Attach(t, chardev.AttachOptions{Mode: chardev.ModeCapture, Linger: time.Second})
	walker := d.Attach(t, chardev.AttachOptions{Mode: chardev.ModeSnapshot})
	for _, conn := range snapshot(t, s.Directors[0], false) {
		if record, err := chardev.AppendRecord(nil, &conn); err == nil {
			if _, err := reader.Write(record); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := n.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := walker.ReadBatch(chardev.NewBatch(chardev.DefaultBatchSize)); err != nil {
		t.Fatal(err)
	}
	walker.Close()
	reader.Close()
}

func (s *stress) readTables(t *testing.T) {
	for _, d := range s.Directors {
		snapshot(t, d, false)
		snapshot(t, d, true)
	}
}

// interpose puts another module on top of ours. Where all readers leave while it
// is there, ours has to stay.
func (s *stress) interpose(t *testing.T) {
	director.LoadInterposer(t)
	pause()
	alone := rand.IntN(2) == 0
	if alone {
		s.stopDaemons(t)
		director.ModuleStays(t)
		wantState(t, s.Directors[0], chardev.StateInterposed|chardev.StateBuried)
		pause()
	}
	seen := director.InterposerCalls(t)
	eventually(t, 30*time.Second, func() bool { return director.InterposerCalls(t) > seen },
		"the interposer sees no packets")
	director.UnloadInterposer(t)
	if alone {
		for i := range s.daemons {
			s.start(t, i)
		}
	}
}

// stopDaemons ends all daemons, one way or another, and what they left behind.
func (s *stress) stopDaemons(t *testing.T) {
	for i := range s.daemons {
		if rand.IntN(2) == 0 {
			s.daemons[i].Kill(t)
		} else {
			s.daemons[i].Stop(t)
		}
		// Takes the queue over, or it would linger for long.
		capture(t, s.Directors[i]).Close()
	}
}

func (s *stress) reload(t *testing.T) {
	s.stopDaemons(t)
	director.UnloadModule(t)
	pause()
	director.LoadModule(t)
	for i := range s.daemons {
		s.start(t, i)
	}
}
