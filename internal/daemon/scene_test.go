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
	"time"

	"github.com/ssyncp/ssyncp/internal/keyring"
	"github.com/ssyncp/ssyncp/internal/netnstest"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
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

// Objects of a scene by their numbers: those that the victim owns, those that
// the peer owns, the next ones, and what nobody has.
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
	class    class
	nsA, nsB *netnstest.Namespace
	keyFile  string
	key      frame.Key
	victim   *director // in nsA
	peer     *director // in nsB
	tap      *wiretap
	attacker *injector
	aside    *injector // over the victim's other interface
	good     int       // objects that the peer told behind the beginning
}

// newScene makes one of IPVS connections, as newSceneOf does.
func newScene(t *testing.T, links ...string) *scene {
	t.Helper()
	return newSceneOf(t, ipvsConnections{}, links...)
}

// newSceneOf makes one of a class, with links to the group unless there are
// others, of the victim and of its peer.
func newSceneOf(t *testing.T, c class, links ...string) *scene {
	t.Helper()
	if links == nil {
		links = []string{"eth0", "eth0"}
	}
	s := &scene{t: t, class: c, keyFile: newKey(t)}
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

	s.victim = s.start(s.nsA, 1, append(c.owned(t, s.nsA, victimOwns), "--links="+links[0])...).synced()
	s.peer = s.start(s.nsB, 2, "--links="+links[1])
	s.peer.logs("to=synced")
	s.victim.with(1)

	// Of the victim's news the peer loses some, so that it asks for them.
	const lost = 5
	nft(t, s.nsB, "table netdev loss {\n chain ingress {\n type filter hook ingress device eth0 priority 0\n drop\n }\n}\n")
	for i := range lost {
		c.tell(s.victim, victimOwns+i, 1)
		eventually(t, "an advert that is lost", func() bool { return len(s.tap.overheard(victimIP, block.TypeAdvert)) > i })
	}
	nft(t, s.nsB, "delete table netdev loss\n")
	c.has(s.peer, 0, victimOwns+lost)
	c.tell(s.peer, peerOwns, 100)
	c.has(s.victim, peerOwns, 100)
	for _, kind := range []block.Type{
		block.TypeAdvert, block.TypeChallenge, block.TypeEcho, block.TypeNack, block.TypeSnapshotRequest, block.TypeSnapshotAck,
	} {
		eventually(t, kind.String()+" of the peer", func() bool { return len(s.tap.overheard(peerIP, kind)) > 0 })
	}
	c.forget(s.victim)
	return s
}

// start starts one of its daemons.
func (s *scene) start(ns *netnstest.Namespace, number int, args ...string) *director {
	s.t.Helper()
	return start2(s.t, ns, number, s.keyFile, append(s.class.options(), args...)...)
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
	bad = []string{
		"cluster_refused", "receive_dropped", "peering_trouble", "cluster_trouble", "ipvs_entries_refused", "conntrack_entries_refused", "conntrack_troubles",
	}
	answers = []string{
		"peering applied_frames", "peering sent_again", "peering sent_chunks", "peering sent_gone", "peering sent_refusals",
		"peering sent_nacks", "peering sent_requests", "peering sent_acks", "peering proofs", "peering announcements", "peering sent_answers",
	}
)

// state is what no attack may change, and what is counted.
type state struct {
	writes   int             // of connections to the device
	table    map[string]held // what the victim has of the scene's class
	counters map[string]int
	events   int // lines of the log that say that something happened
}

// held is an object that a director has.
type held struct {
	as   string    // all that is known of it, but for time
	ends time.Time // zero: not known
}

// alike reports whether an object is as it was. The kernel tells seconds.
func (h held) alike(before held) bool {
	return h.as == before.as && h.ends.Sub(before.ends).Abs() <= 2*time.Second
}

func (s *scene) state() state {
	s.t.Helper()
	st := state{writes: len(s.victim.ask(request{}).Written), table: s.class.table(s.victim), counters: s.victim.counters()}
	for line := range strings.Lines(s.victim.log.String()) {
		if strings.Contains(line, " peer=") || strings.Contains(line, `msg="state changed"`) {
			st.events++
		}
	}
	return st
}

// fresh has the peer tell of one more object, and waits until the victim has it:
// then it has seen all that was sent before, too.
func (s *scene) fresh() {
	s.t.Helper()
	s.class.tell(s.peer, goodOnes+s.good, 1)
	s.good++
	s.class.has(s.victim, goodOnes, s.good)
}

// sameTable wants that the victim has what it had, as it was, and of what is new
// nothing that fresh did not bring.
func (s *scene) sameTable(before map[string]held) {
	s.t.Helper()
	after := s.class.table(s.victim)
	var good []string
	for i := range s.good {
		good = append(good, client(goodOnes+i).String())
	}
	for key, is := range after {
		switch was, there := before[key]; {
		case !there && !slices.Contains(good, key):
			s.t.Errorf("it has %s now: %+v", key, is)
		case there && !is.alike(was):
			s.t.Errorf("%s is %+v now, was %+v", key, is, was)
		}
	}
	for key, was := range before {
		if _, there := after[key]; !there {
			s.t.Errorf("it has lost %s: %+v", key, was)
		}
	}
}

// unchanged wants that an attack leaves no trace but in these counters, and that
// what the peer tells behind it arrives.
func (s *scene) unchanged(want map[string]int, attack func()) {
	s.t.Helper()
	before := s.state()
	attack()
	s.fresh()
	after := s.state()
	s.sameTable(before.table)
	if got, want := after.writes-before.writes, s.class.writes(); got != want {
		s.t.Errorf("%d connections were written to the device, the peer told %d", got, want)
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

// advert returns a body that says what no director did.
func (s *scene) advert(sender block.Peer, number, sequence uint64) []byte {
	s.t.Helper()
	b := s.class.lie(s.t, body(sender, number))
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
