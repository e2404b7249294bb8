package daemon_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// Whoever can send on the link changes nothing without the key, and with what was
// recorded; each attempt is counted under its own name.
func TestAttacksChangeNothing(t *testing.T) {
	t.Parallel()
	ofEachClass(t, attacksChangeNothing)
}

func attacksChangeNothing(t *testing.T, c class) {
	s := newSceneOf(t, c)
	join(t, s, "eth1")
	toPeer := s.tap.overheard(peerIP, 0)
	last := toPeer[len(toPeer)-1].body
	peer, self := last.Peer, s.tap.overheard(victimIP, 0)[0].body.Peer
	ahead := func() uint64 { // a number that the peer did not reach yet
		all := s.tap.overheard(peerIP, 0)
		return all[len(all)-1].body.Number + 100
	}
	other := frame.NewKey([frame.KeySize]byte{1, 2, 3})
	clone := block.Peer{Sender: peer.Sender, Start: block.StartID{0xc1, 0x0e}}

	// blocks are what a frame can have, with the names that it is counted under
	// where it is sealed, and of a start that proved nothing.
	type forged struct {
		name     string
		make     func(b []byte) ([]byte, error)
		unproven []string
	}
	blocks := []forged{
		{"challenge to another start", func(b []byte) ([]byte, error) {
			return block.AppendChallenge(b, &block.Challenge{Peer: block.Peer{Sender: self.Sender, Start: block.StartID{9}}})
		}, []string{"challenge_stale"}},
		{"echo of what was not asked", func(b []byte) ([]byte, error) {
			return block.AppendEcho(b, &block.Challenge{Peer: self, Challenge: [16]byte{1}})
		}, []string{"echo_wrong"}},
		{"NACK", func(b []byte) ([]byte, error) {
			return block.AppendNack(b, self, []block.Range{{First: 1, Count: 5}})
		}, []string{"unproven_nack"}},
		{"gone", func(b []byte) ([]byte, error) {
			return block.AppendGone(b, block.Gone{First: 1, Last: 1 << 40})
		}, []string{"unproven_gone"}},
		{"snapshot request", func(b []byte) ([]byte, error) {
			return block.AppendSnapshotRequest(b, &block.SnapshotRequest{Peer: self, Request: 7, Classes: 1 << c.id()})
		}, []string{"unproven_request"}},
		{"snapshot chunk", func([]byte) ([]byte, error) {
			return block.AppendSnapshotChunk(s.advert(clone, 1, 0), &block.SnapshotChunk{Peer: self, Request: 7, Last: true})
		}, []string{"unproven_chunk", "unproven_advert"}},
		{"snapshot ACK", func(b []byte) ([]byte, error) {
			return block.AppendSnapshotAck(b, &block.SnapshotAck{Peer: self, Request: 7}, nil)
		}, []string{"unproven_ack"}},
		{"advert", func([]byte) ([]byte, error) { return s.advert(clone, 1, 1), nil }, []string{"unproven_advert"}},
		{"probe", func(b []byte) ([]byte, error) { return block.AppendProbe(b, 1300) }, []string{"unproven_other"}},
		{"probe ACK", func(b []byte) ([]byte, error) {
			return block.AppendProbeAck(b, &block.ProbeAck{Peer: self, Number: 1})
		}, []string{"unproven_other"}},
		{"query", func(b []byte) ([]byte, error) {
			return block.AppendQuery(b, &block.Query{Peer: self, Query: 7, Class: c.id(), Selector: make([]byte, 8)})
		}, []string{"unproven_query"}},
		{"answer", func(b []byte) ([]byte, error) {
			return block.AppendAnswer(b, &block.Answer{Peer: self, Query: 7}, nil)
		}, []string{"unproven_answer"}},
	}

	type attack struct {
		name string
		make func(t *testing.T) ([]packet, map[string]int)
	}
	one := func(p packet, counter string) ([]packet, map[string]int) {
		return []packet{p}, map[string]int{counter: 1}
	}
	replay := func(with block.Type) func(*testing.T) ([]packet, map[string]int) {
		return func(t *testing.T) ([]packet, map[string]int) {
			list := recorded(s.tap.overheard(peerIP, with))
			return list, map[string]int{"peering_trouble replayed": len(list)}
		}
	}
	attacks := []attack{
		{"no key", func(*testing.T) ([]packet, map[string]int) {
			return one(from(peerIP, s.clear(s.advert(peer, ahead(), 1))), "cluster_refused not_sealed")
		}},
		{"wrong key", func(*testing.T) ([]packet, map[string]int) {
			return one(from(peerIP, s.sealed(syncID, other, s.advert(peer, ahead(), 1))), "cluster_refused key")
		}},
		{"wrong key that says it is the right one", func(*testing.T) ([]packet, map[string]int) {
			f := s.sealed(syncID, other, s.advert(peer, ahead(), 1))
			binary.BigEndian.PutUint16(f[10:], uint16(s.key.ID()))
			return one(from(peerIP, f), "cluster_refused seal")
		}},
		{"another segment's sync ID", func(*testing.T) ([]packet, map[string]int) {
			return one(from(peerIP, s.sealed(syncID+1, s.key, s.advert(peer, ahead(), 1))), "cluster_refused foreign_sync_id")
		}},
		{"an advert of version 1", func(*testing.T) ([]packet, map[string]int) {
			return one(from(peerIP, make([]byte, 32)), "cluster_refused other_version")
		}},
		{"replay of everything within a start", replay(0)},
		{"recorded challenges", replay(block.TypeChallenge)},
		{"recorded NACKs", replay(block.TypeNack)},
		{"recorded snapshot requests", replay(block.TypeSnapshotRequest)},
		{"reflected own frames", func(*testing.T) ([]packet, map[string]int) {
			list := recorded(s.tap.overheard(victimIP, 0))
			for i := range list {
				list[i].destination = group
			}
			return list, map[string]int{"receive_dropped own": len(list)}
		}},
		{"own frames reflected under another address", func(*testing.T) ([]packet, map[string]int) {
			list := recorded(s.tap.overheard(victimIP, 0))
			for i := range list {
				list[i].source, list[i].destination = stranger, group
			}
			return list, map[string]int{"peering_trouble own": len(list)}
		}},
		{"TTL 254", func(*testing.T) ([]packet, map[string]int) {
			p := from(peerIP, s.sealed(syncID, s.key, s.advert(peer, ahead(), 1)))
			p.ttl = 254
			return one(p, "receive_dropped ttl")
		}},
		{"TTL 64 to the host alone", func(*testing.T) ([]packet, map[string]int) {
			p := from(peerIP, s.sealed(syncID, s.key, s.advert(peer, ahead(), 1)))
			p.destination, p.ttl = victimIP, 64
			return one(p, "receive_dropped ttl")
		}},
		{"fragments", func(*testing.T) ([]packet, map[string]int) {
			p := from(peerIP, s.sealed(syncID, s.key, s.advert(peer, ahead(), 1)))
			p.fragments = true
			return one(p, "receive_dropped fragment")
		}},
		{"a clone with the same start, behind", func(*testing.T) ([]packet, map[string]int) {
			return one(from(stranger, s.sealed(syncID, s.key, s.advert(peer, last.Number, 1))), "peering_trouble replayed")
		}},
		{"bit flips at every position", func(t *testing.T) ([]packet, map[string]int) {
			original := s.sealed(syncID, s.key, s.advert(peer, ahead(), 1))
			var list []packet
			want := map[string]int{}
			for i := range 8 * len(original) {
				f := append([]byte(nil), original...)
				f[i/8] ^= 1 << (i % 8)
				list = append(list, from(peerIP, f))
				want["cluster_refused "+flipped(i/8, f)]++
			}
			return list, want
		}},
		{"truncation at every byte", func(t *testing.T) ([]packet, map[string]int) {
			original := s.sealed(syncID, s.key, s.advert(peer, ahead(), 1))
			var list []packet
			for i := range original {
				list = append(list, from(peerIP, original[:i]))
			}
			return list, map[string]int{
				"cluster_refused short": frame.HeaderSize, "cluster_refused size": len(original) - frame.HeaderSize,
			}
		}},
		{"truncation at every byte with the size put right", func(t *testing.T) ([]packet, map[string]int) {
			original := s.sealed(syncID, s.key, s.advert(peer, ahead(), 1))
			var list []packet
			for i := 4; i < len(original); i++ {
				f := append([]byte(nil), original[:i]...)
				binary.BigEndian.PutUint16(f[2:], uint16(i))
				list = append(list, from(peerIP, f))
			}
			overhead := frame.Sealed.Overhead()
			return list, map[string]int{"cluster_refused short": overhead - 4, "cluster_refused seal": len(original) - overhead}
		}},
		{"nothing in it", func(*testing.T) ([]packet, map[string]int) {
			return one(from(peerIP, s.sealed(syncID, s.key, body(peer, ahead()))), "cluster_refused body")
		}},
	}
	for _, b := range blocks {
		attacks = append(attacks, attack{b.name + ", without the key", func(t *testing.T) ([]packet, map[string]int) {
			content, err := b.make(body(peer, ahead()))
			if err != nil {
				t.Fatal(err)
			}
			return one(from(peerIP, s.clear(content)), "cluster_refused not_sealed")
		}})
	}
	for _, b := range blocks {
		attacks = append(attacks, attack{b.name + ", of a clone with another start that proves nothing", func(t *testing.T) ([]packet, map[string]int) {
			content, err := b.make(body(clone, 1))
			if err != nil {
				t.Fatal(err)
			}
			want := map[string]int{}
			for _, name := range b.unproven {
				want["peering_trouble "+name] = 1
			}
			return []packet{from(stranger, s.sealed(syncID, s.key, content))}, want
		}})
	}
	for _, a := range attacks {
		t.Run(a.name, func(t *testing.T) {
			s.on(t)
			packets, want := a.make(t)
			if len(packets) == 0 {
				t.Fatal("no packets")
			}
			s.unchanged(want, func() {
				for _, p := range packets {
					s.attacker.send(p)
				}
			})
		})
	}
	t.Run("another interface", func(t *testing.T) {
		s.on(t)
		p := from(peerIP, s.sealed(syncID, s.key, s.advert(peer, ahead(), 1)))
		toHost := p
		toHost.destination = victimIP
		s.unchanged(map[string]int{"receive_dropped interface": 2}, func() {
			s.aside.send(p)
			s.aside.send(toHost)
		})
	})
	// Or all of the above would prove nothing.
	t.Run("what they say would do harm if the peer said it", func(t *testing.T) {
		s.on(t)
		before := c.table(s.victim)
		s.attacker.send(from(peerIP, s.sealed(syncID, s.key, s.advert(peer, ahead(), s.tap.lastSequence(peerIP)+1))))
		eventually(t, "harm", func() bool { return len(notAlike(before, c.table(s.victim))) >= c.harm() })
		if got := notAlike(before, c.table(s.victim)); len(got) != c.harm() {
			t.Errorf("%d objects are not as they were, want %d: %v", len(got), c.harm(), got)
		}
	})
}

// notAlike are the keys of what is there on one side alone, or not alike.
func notAlike(before, after map[string]held) (keys []string) {
	for key, was := range before {
		if is, there := after[key]; !there || !is.alike(was) {
			keys = append(keys, key)
		}
	}
	for key := range after {
		if _, there := before[key]; !there {
			keys = append(keys, key)
		}
	}
	return keys
}

// Without a group, a list of peers stands for the link; what comes from them may
// have crossed routers, so that the TTL says nothing.
func TestAttacksOnALinkToPeersChangeNothing(t *testing.T) {
	t.Parallel()
	ofEachClass(t, attacksOnALinkToPeersChangeNothing)
}

func attacksOnALinkToPeersChangeNothing(t *testing.T, c class) {
	s := newSceneOf(t, c, "eth0,peers=192.0.2.2", "eth0,peers=192.0.2.1")
	join(t, s, "eth0")
	all := s.tap.overheard(peerIP, 0)
	last := all[len(all)-1].body
	to := func(p packet) packet { p.destination = victimIP; return p }
	sealed := func() []byte { return s.sealed(syncID, s.key, s.advert(last.Peer, last.Number+100, 1)) }
	for _, tt := range []struct {
		name    string
		packet  packet
		counter string
	}{
		{"a stranger with the key", to(from(stranger, sealed())), "receive_dropped not_a_peer"},
		{"a stranger who sends to the group", from(stranger, sealed()), "receive_dropped destination"},
		{"a peer to the group", from(peerIP, sealed()), "receive_dropped destination"},
		{"reflected own frames", to(from(victimIP, s.tap.overheard(victimIP, 0)[0].payload)), "receive_dropped own"},
		{"no key", to(from(peerIP, s.clear(s.advert(last.Peer, last.Number+100, 1)))), "cluster_refused not_sealed"},
		{"replay", to(from(peerIP, all[len(all)-1].payload)), "peering_trouble replayed"},
		{"replay through a router", to(packet{source: peerIP, ttl: 60, payload: all[len(all)-1].payload}), "peering_trouble replayed"},
		{"fragments", to(packet{source: peerIP, ttl: 255, fragments: true, payload: sealed()}), "receive_dropped fragment"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s.on(t)
			s.unchanged(map[string]int{tt.counter: 1}, func() { s.attacker.send(tt.packet) })
		})
	}
}

// on makes a test the one that the scene is of.
func (s *scene) on(t *testing.T) {
	outer := s.t
	s.t, s.victim.t, s.peer.t, s.attacker.t, s.aside.t = t, t, t, t, t
	t.Cleanup(func() { s.t, s.victim.t, s.peer.t, s.attacker.t, s.aside.t = outer, outer, outer, outer, outer })
}

// flipped is what a frame with a wrong bit in this byte is refused for.
func flipped(at int, f []byte) string {
	switch {
	case at == 0, at == 4, at == 5:
		return "other_version"
	case at == 1:
		return "foreign_sync_id"
	case at == 2, at == 3:
		return "size"
	case at == 8 && f[8] == 0:
		return "not_sealed"
	case at == 8:
		return "suite"
	case at == 6, at == 7, at == 9: // the checksum of a sealed frame is zero
		return "reserved"
	case at == 10, at == 11:
		return "key"
	}
	return "seal"
}

// join makes another program of the victim's host a member of the group.
func join(t *testing.T, s *scene, device string) {
	t.Helper()
	index := inspect(t, s.nsA, device).Index
	var fd int
	var err error
	s.nsA.Do(t, func() {
		if fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0); err == nil {
			err = unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP,
				&unix.IPMreqn{Multiaddr: group.As4(), Ifindex: int32(index)})
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
}

// What was recorded of an earlier start of either side is worth nothing.
func TestReplayAcrossRestarts(t *testing.T) {
	t.Parallel()
	ofEachClass(t, replayAcrossRestarts)
}

func replayAcrossRestarts(t *testing.T, c class) {
	for _, tt := range []struct {
		name             string
		sender, receiver bool // which one starts anew
		counted          []string
	}{
		// The earlier start is remembered for a minute, and what it sent is known.
		{"of the sender", true, false, []string{"peering_trouble replayed"}},
		{"of the receiver, and the sender is gone", false, true, []string{
			"peering_trouble unproven_advert", "peering_trouble unproven_nack", "peering_trouble unproven_request",
			"peering_trouble unproven_ack", "peering_trouble challenge_stale",
		}},
		{"of both", true, true, []string{
			"peering_trouble unproven_advert", "peering_trouble unproven_nack", "peering_trouble unproven_request",
			"peering_trouble unproven_ack", "peering_trouble challenge_stale",
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newSceneOf(t, c)
			old := recorded(s.tap.overheard(peerIP, 0))
			s.peer.stop()
			if tt.receiver {
				s.victim.stop()
				s.victim = s.start(s.nsA, 1).synced()
			}
			if tt.sender {
				s.peer = s.start(s.nsB, 2)
				s.peer.logs("to=synced")
				s.fresh()
			}
			c.forget(s.victim)
			before := s.state()
			counted := before.counters
			for range 2 {
				for _, p := range old {
					s.attacker.send(p)
				}
			}
			var after map[string]int
			eventually(t, "all of it is counted", func() bool {
				after = s.victim.counters()
				return after["peering received_frames"]-counted["peering received_frames"] >= 2*len(old)
			})
			for _, name := range tt.counted {
				if after[name] <= counted[name] {
					t.Errorf("nothing is counted as %s: %v", name, after)
				}
			}
			if n := after["peering proofs"] - counted["peering proofs"]; n != 0 {
				t.Errorf("%d recorded starts were proven", n)
			}
			if n := len(s.victim.ask(request{}).Written) - before.writes; n != 0 {
				t.Errorf("%d connections were written", n)
			}
			s.sameTable(before.table)
			if tt.sender {
				s.fresh() // the new start goes on being heard
			} else if log := s.victim.log.String(); strings.Contains(log, `msg="peer is there"`) {
				t.Errorf("a peer is there:\n%s", log)
			}
		})
	}
}

// A machine was cloned while it ran: somebody goes on with the start ID of a
// director, and its numbers. That one notices, takes nothing of it, and starts
// anew, so that its peers can tell the two apart.
func TestClonedWhileRunning(t *testing.T) {
	t.Parallel()
	ofEachClass(t, clonedWhileRunning)
}

func clonedWhileRunning(t *testing.T, c class) {
	s := newSceneOf(t, c)
	all := s.tap.overheard(victimIP, 0)
	last := all[len(all)-1].body
	before := c.table(s.victim)
	s.attacker.send(from(stranger, s.sealed(syncID, s.key, s.advert(last.Peer, last.Number+1000, 1))))
	s.victim.logs("level=ERROR", "another director has our sender ID and start ID", "address="+stranger.String())
	eventually(t, "a new start", func() bool {
		now := s.tap.overheard(victimIP, 0)
		return now[len(now)-1].body.Start != last.Start
	})
	counters := s.victim.counters()
	if counters["peering_trouble own"] != 1 || counters["peering_trouble twins"] != 1 {
		t.Errorf("counted %v", counters)
	}
	s.fresh()
	s.sameTable(before)
}

// A machine was copied: two directors have one sender ID, and a key. Both are
// named, by everybody, and what they tell is not mixed up.
func TestClonedSender(t *testing.T) {
	t.Parallel()
	ofEachClass(t, clonedSender)
}

func clonedSender(t *testing.T, k class) {
	lan := newLAN(t, 3)
	key := newKey(t)
	begin := func(i, number int, args ...string) *director {
		return start2(t, lan.hosts[i], number, key, append(k.options(), args...)...).synced()
	}
	a := begin(0, 1)
	b := begin(1, 2, "--wire-name=original")
	a.with(1)
	c := begin(2, 2, "--wire-name=copy")
	a.with(2)
	k.tell(b, 1000, 50)
	k.tell(c, 2000, 50)
	k.has(a, 1000, 50)
	k.has(a, 2000, 50)
	a.logs("level=ERROR", "two directors have one sender ID", "name=original", "other_name=copy", "wire.sender_id")
	for _, d := range []*director{b, c} {
		d.logs("level=ERROR", "another director has our sender ID")
	}
	for _, d := range []*director{a, b, c} {
		if d.counters()["peering_trouble twins"] == 0 {
			t.Error("it is not counted")
		}
	}
	told := append(clients(1000, 50), clients(2000, 50)...)
	for key := range k.table(a) {
		if !slices.Contains(told, key) {
			t.Errorf("it has %s, which was told by nobody", key)
		}
	}
}
