package guest

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/devicefuzz"
	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

const (
	fuzzDuration = time.Minute // where FUZZ does not say another
	fuzzWorkers  = 6
	fuzzMaxConns = 2000
	fuzzPatience = 5 * time.Minute // behind its end
)

// Whatever a program does with the device: it gets an errno of the contract,
// records that are well formed, and a table that holds what was said to be
// applied and nothing of what was refused. `make fuzz-device` says for how long,
// and with which seed.
func TestDeviceFuzz(t *testing.T) {
	config := devicefuzz.Config{
		Seed: rand.Uint64(), Duration: fuzzDuration, Workers: fuzzWorkers, Clients: 4096, Ledger: 1,
	}
	if text := os.Getenv("FUZZ"); text != "" {
		var err error
		if config.Duration, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	if text := os.Getenv("FUZZ_SEED"); text != "" {
		var err error
		if config.Seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("FUZZ_SEED=%d", config.Seed)

	director.LoadModule(t, "max_conns="+strconv.Itoa(fuzzMaxConns))
	// A capability is what opens the device, not the owner of its node.
	if err := os.Chmod(chardev.DefaultPath, 0o666); err != nil {
		t.Fatal(err)
	}
	loadModules(t, "ip_vs_pe_sip", "ip_vs_ftp")
	lab := topology.New(t, 4, 2)
	services := fuzzServices(lab)
	// The first one has packets; the second is the ledger's; the last one has
	// no service, and newer kernels no table there.
	for _, d := range lab.Directors[:3] {
		for _, s := range services {
			d.AddService(t, s)
		}
	}
	for i, d := range lab.Directors {
		place := devicefuzz.Place{Name: d.Name, Path: filepath.Join("/run/netns", d.Name)}
		if i != 0 {
			place.MaxConns = fuzzMaxConns + 2*fuzzWorkers // each may be about to make one
		}
		config.Places = append(config.Places, place)
	}
	for _, s := range services {
		config.Services = append(config.Services, forFuzzing(s))
	}

	ctx, cancel := context.WithTimeout(t.Context(), config.Duration+fuzzPatience)
	defer cancel()
	serve(t, lab, "tcp", stressPort)
	serve(t, lab, "udp", stressUDPPort)
	churns := []*traffic.Churn{
		traffic.Client{Namespace: lab.Client}.Churn(20, netip.AddrPortFrom(topology.Virtual, stressPort)),
		traffic.Client{Namespace: lab.Client, Network: "udp"}.Churn(10, netip.AddrPortFrom(topology.Virtual, stressUDPPort)),
	}
	result := startFuzzer(ctx, t, config)
	ended := comeAndGo(t, lab, services, result)
	if ended.err != nil {
		t.Fatal(ended.err)
	}
	report := ended.report
	opened := 0
	for _, churn := range churns {
		n, _ := churn.Stop() // what a flush cuts off fails
		opened += n
	}
	// A queue may linger for days: it is taken over, and ends.
	for _, d := range lab.Directors {
		capture(t, d).Close()
	}

	for _, what := range []map[string]int{report.Calls, report.Amounts} {
		for _, name := range slices.Sorted(maps.Keys(what)) {
			t.Logf("%9d %s", what[name], name)
		}
	}
	t.Logf("%d calls in %v, %d connections through IPVS meanwhile", report.Total(), config.Duration, opened)
	for _, finding := range report.Findings {
		t.Errorf("FUZZ_SEED=%d: %s", config.Seed, finding)
	}
	// What it is worth: a fuzzer that is turned away everywhere finds nothing.
	for _, must := range []string{"read done", "write done", "write EINVAL", "attach done", "refusals done", "stats done",
		"write, audited done", "records audited", "records taken", "connections read"} {
		if report.Calls[must]+report.Amounts[must] == 0 {
			t.Errorf("%s: not once", must)
		}
	}
	if opened == 0 {
		t.Error("no traffic passed")
	}
}

// A fuzzed is how the fuzzer's process ended.
type fuzzed struct {
	report *devicefuzz.Report
	err    error
}

func startFuzzer(ctx context.Context, t *testing.T, config devicefuzz.Config) <-chan fuzzed {
	t.Helper()
	command, err := config.Command(ctx)
	if err != nil {
		t.Fatal(err)
	}
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	result := make(chan fuzzed, 1)
	go func() {
		if err := command.Wait(); err != nil {
			result <- fuzzed{err: fmt.Errorf("the fuzzer: %w\n%s", err, said.String())}
			return
		}
		report, err := devicefuzz.Read(&out)
		result <- fuzzed{report, err}
	}()
	return result
}

// fuzzServices are of every forwarding method, protocol and family.
func fuzzServices(lab *topology.Topology) []director.Service {
	servers := func(port uint16) (all []netip.AddrPort) {
		for _, s := range lab.Servers {
			all = append(all, netip.AddrPortFrom(s.Address, port))
		}
		return all
	}
	at := func(port uint16) netip.AddrPort { return netip.AddrPortFrom(topology.Virtual, port) }
	return []director.Service{
		{Method: director.NAT, Virtual: at(stressPort), Servers: servers(stressPort)},
		{Method: director.DR, Virtual: at(drPort), Servers: servers(drPort)},
		{Method: director.TUN, Virtual: at(tunPort), Servers: servers(tunPort)},
		{Method: director.NAT, Virtual: at(persistentPort), Servers: servers(persistentPort), Persistence: time.Minute},
		{Method: director.NAT, Virtual: at(21), Servers: servers(21), Persistence: time.Minute},
		{Method: director.NAT, Virtual: at(stressUDPPort), Servers: servers(stressUDPPort), Protocol: "udp"},
		{
			Method: director.DR, Virtual: netip.MustParseAddrPort("[2001:db8::80]:80"),
			Servers: []netip.AddrPort{netip.MustParseAddrPort("[2001:db8::21]:80"), netip.MustParseAddrPort("[2001:db8::22]:80")},
		},
	}
}

func forFuzzing(s director.Service) devicefuzz.Service {
	protocol := ipvs.TCP
	if s.Protocol == "udp" {
		protocol = ipvs.UDP
	}
	return devicefuzz.Service{
		Protocol: protocol, Virtual: s.Virtual, Servers: s.Servers, Persistent: s.Persistence != 0,
		Method: map[director.Method]ipvs.Method{
			director.NAT: ipvs.Masquerade, director.DR: ipvs.DirectRouting, director.TUN: ipvs.Tunnel,
		}[s.Method],
	}
}

// comeAndGo takes services away and brings them again, starts and stops the
// in-kernel master, and changes what an administrator can, until the fuzzer
// has ended.
func comeAndGo(t *testing.T, lab *topology.Topology, services []director.Service, result <-chan fuzzed) fuzzed {
	t.Helper()
	switches := []string{"accept_unbound", "skip_closing"}
	for i := 0; ; i++ {
		d := lab.Directors[rand.IntN(3)]
		select {
		case ended := <-result:
			return ended
		case <-time.After(rand.N(time.Second)):
		}
		switch i % 3 {
		case 0:
			d.IPVSAdm(t, "--clear")
			pause()
			for _, s := range services {
				d.AddService(t, s)
			}
		case 1:
			d.IPVSAdm(t, "--start-daemon", "master", "--mcast-interface", director.SyncLink)
			pause()
			d.IPVSAdm(t, "--stop-daemon", "master")
		case 2:
			name, value := switches[rand.IntN(len(switches))], strconv.Itoa(rand.IntN(2))
			if err := os.WriteFile("/sys/module/ssyncp/parameters/"+name, []byte(value), 0); err != nil {
				t.Fatal(err)
			}
		}
	}
}
