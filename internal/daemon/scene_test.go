package daemon_test

import (
	"bytes"
	"maps"
	"net/netip"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ssyncp/ssyncp/internal/keyring"
	"github.com/ssyncp/ssyncp/internal/netnstest"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/entry"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// syncID is that of all directors in these tests.
const syncID = 7

var (
	group    = netip.MustParseAddr("224.0.0.81")
	victimIP = netip.MustParseAddr("192.0.2.1")
	peerIP   = netip.MustParseAddr("192.0.2.2")
	stranger = netip.MustParseAddr("192.0.2.66")
)

// Connections of a scene by their numbers: those that the victim owns, those
// that the peer owns, the next ones, and what nobody has.
const (
	victimOwns = 100
	peerOwns   = 10_000
	goodOnes   = 20_000
	evilOnes   = 900_000
)

// scene is two directors with a key, and somebody on the link between them who
// hears everything, from the beginning. Each of the directors asked the other for
// a snapshot, or was sent again what it had lost.
type scene struct {
	t        *testing.T
	nsA, nsB *netnstest.Namespace
	keyFile  string
	key      frame.Key
	victim   *director // in nsA
	peer     *director // in nsB
	tap      *wiretap
	attacker *injector
	aside    *injector // over the victim's other interface
	good     int       // connections that the peer told behind the beginning
}

// newScene makes it, with links to the group unless there are others, of the
// victim and of its peer.
func newScene(t *testing.T, links ...string) *scene {
	t.Helper()
	if links == nil {
		links = []string{"eth0", "eth0"}
	}
	s := &scene{t: t, keyFile: newKey(t)}
	s.nsA, s.nsB = pair(t)
	netnstest.Pair(t, s.nsA, "eth1", "198.51.100.1/24", s.nsB, "eth1", "198.51.100.2/24")
	for _, device := range []string{"all", "eth0", "eth1"} { // or the kernel drops some by itself
		s.nsA.Set(t, "ipv4/conf/"+device+"/rp_filter", "0")
		s.nsA.Set(t, "ipv4/conf/"+device+"/accept_local", "1")
	}
	var err error
	if s.key, err = keyring.Read(s.keyFile); err != nil {
		t.Fatal(err)
	}
	s.tap = tap(t, s.nsB, "eth0", s.key)
	s.attacker = newInjector(t, s.nsB, "eth0", s.nsA, "eth0")
	s.aside = newInjector(t, s.nsB, "eth1", s.nsA, "eth1")

	s.victim = start2(t, s.nsA, 1, s.keyFile, "--links="+links[0], "--test-table="+strconv.Itoa(victimOwns)).synced()
	s.peer = start2(t, s.nsB, 2, s.keyFile, "--links="+links[1])
	s.peer.logs("to=synced")
	s.victim.with(1)

	// Of the victim's news the peer loses some, so that it asks for them.
	const lost = 5
	nft(t, s.nsB, "table netdev loss {\n chain ingress {\n type filter hook ingress device eth0 priority 0\n drop\n }\n}\n")
	for i := range lost {
		s.victim.ask(request{Queue: 1, From: victimOwns + i})
		eventually(t, "an advert that is lost", func() bool { return len(s.tap.overheard(victimIP, block.TypeAdvert)) > i })
	}
	nft(t, s.nsB, "delete table netdev loss\n")
	s.peer.holds(clients(0, victimOwns+lost))
	s.peer.ask(request{Queue: 100, From: peerOwns})
	s.victim.holds(clients(peerOwns, 100))
	for _, kind := range []block.Type{
		block.TypeAdvert, block.TypeChallenge, block.TypeEcho, block.TypeNack, block.TypeSnapshotRequest, block.TypeSnapshotAck,
	} {
		eventually(t, kind.String()+" of the peer", func() bool { return len(s.tap.overheard(peerIP, kind)) > 0 })
	}
	return s
}

// nft changes the rules of a namespace.
func nft(t testing.TB, ns *netnstest.Namespace, rules string) {
	t.Helper()
	c := exec.Command("ip", "netns", "exec", ns.Name, "nft", "-f", "-")
	c.Stdin = strings.NewReader(rules)
	if out, err := c.CombinedOutput(); err != nil {
		t.Skipf("this host cannot drop packets: nft: %v: %s", err, out)
	}
}

// counters returns a director's counters that are not zero, by group and name.
func (d *director) counters() map[string]int {
	d.t.Helper()
	before := len(d.log.String())
	d.signal(syscall.SIGUSR1)
	var text string
	eventually(d.t, "counters", func() bool {
		text = d.log.String()[before:]
		at := strings.Index(text, "msg=counters group=module")
		return at >= 0 && strings.Contains(text[at:], "\n")
	})
	all := map[string]int{}
	for line := range strings.Lines(text) {
		_, line, ok := strings.Cut(strings.TrimSpace(line), "msg=counters group=")
		if !ok {
			continue
		}
		group, line, _ := strings.Cut(line, " ")
		for _, counter := range strings.Fields(line) {
			name, value, _ := strings.Cut(counter, "=")
			if n, err := strconv.Atoi(value); err == nil {
				all[group+" "+name] = n
			}
		}
	}
	return all
}

// bad are the groups of counters that an attack may move, and answers those
// counters that it must not.
var (
	bad     = []string{"cluster_refused", "receive_dropped", "peering_trouble", "cluster_trouble", "ipvs_entries_refused"}
	answers = []string{
		"peering applied_frames", "peering sent_again", "peering sent_chunks", "peering sent_gone", "peering sent_refusals",
		"peering sent_nacks", "peering sent_requests", "peering sent_acks", "peering proofs", "peering announcements", "peering sent_answers",
	}
)

// state is what no attack may change, and what is counted.
type state struct {
	written  []string // to the device
	counters map[string]int
	events   int // lines of the log that say that something happened
}

func (s *scene) state() state {
	s.t.Helper()
	st := state{written: s.victim.ask(request{}).Written, counters: s.victim.counters()}
	for line := range strings.Lines(s.victim.log.String()) {
		if strings.Contains(line, " peer=") || strings.Contains(line, `msg="state changed"`) {
			st.events++
		}
	}
	return st
}

// fresh has the peer tell of one more connection, and waits until the victim has
// it: then it has seen all that was sent before, too.
func (s *scene) fresh() {
	s.t.Helper()
	s.peer.ask(request{Queue: 1, From: goodOnes + s.good})
	s.good++
	s.victim.holds(clients(goodOnes, s.good))
}

// unchanged wants that an attack leaves no trace but in these counters, and that
// what the peer tells behind it arrives.
func (s *scene) unchanged(want map[string]int, attack func()) {
	s.t.Helper()
	before := s.state()
	attack()
	s.fresh()
	after := s.state()
	if got, want := after.written, append(before.written, client(goodOnes+s.good-1).String()); !slices.Equal(got, want) {
		s.t.Errorf("%d connections were written to the device; the peer told 1", len(got)-len(before.written))
	}
	moved := map[string]int{}
	for name, n := range after.counters {
		group, _, _ := strings.Cut(name, " ")
		if n != before.counters[name] && slices.Contains(bad, group) {
			moved[name] = n - before.counters[name]
		}
	}
	if !maps.Equal(moved, want) {
		s.t.Errorf("counted %v, want %v", moved, want)
	}
	for _, name := range answers {
		good := 0
		if name == "peering applied_frames" {
			good = 1
		}
		if n := after.counters[name] - before.counters[name]; n != good {
			s.t.Errorf("%s: %d more", name, n)
		}
	}
	if after.events != before.events {
		s.t.Errorf("it says that something happened:\n%s", s.victim.log.String())
	}
}

// from returns the packet of a frame to the group.
func from(source netip.Addr, payload []byte) packet {
	return packet{source: source, destination: group, ttl: 255, payload: payload}
}

// body begins one of a sender.
func body(sender block.Peer, number uint64) []byte {
	b := make([]byte, block.HeaderSize)
	h := block.Header{Peer: sender, Number: number}
	h.Put(b)
	return b
}

// advert returns a body with a connection that nobody has.
func (s *scene) advert(sender block.Peer, number, sequence uint64) []byte {
	s.t.Helper()
	var e entry.Encoder
	if err := e.Reset(body(sender, number), 1400); err != nil {
		s.t.Fatal(err)
	}
	c := conns(evilOnes, 1)[0]
	if err := e.Append(&c); err != nil {
		s.t.Fatal(err)
	}
	b := e.Finish()
	block.Stamp(b, sequence, 0)
	return b
}

// sealed returns the frame of a body.
func (s *scene) sealed(id uint8, key frame.Key, body []byte) []byte {
	s.t.Helper()
	sealer, err := frame.NewSealer(id, key, nil)
	return s.seal(sealer, err, body)
}

// clear returns it without a key.
func (s *scene) clear(body []byte) []byte {
	s.t.Helper()
	sealer, err := frame.NewClearSealer(syncID)
	return s.seal(sealer, err, body)
}

func (s *scene) seal(sealer *frame.Sealer, err error, body []byte) []byte {
	s.t.Helper()
	var f []byte
	if err == nil {
		f, err = sealer.Seal(nil, body)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return f
}

// recorded returns the packets of frames as they were overheard.
func recorded(frames []overheard) (list []packet) {
	for _, o := range frames {
		list = append(list, packet{source: o.from, destination: o.to, ttl: 255, payload: bytes.Clone(o.payload)})
	}
	return list
}
