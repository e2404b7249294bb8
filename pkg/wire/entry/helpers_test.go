package entry_test

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/block/blocktest"
	"github.com/ssyncp/ssyncp/pkg/wire/entry"
)

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// world is what the connections of a busy director are drawn from: 100
// services, 1,000 real servers with ports of their own, clients from anywhere.
type world struct {
	random *rand.Rand
	shared bool                        // every real server is one of every service
	age    func() time.Duration        // since the last packet
	addr   func(n uint32) netip.Addr   // of a family
	seen   map[netip.AddrPort]struct{} // clients
}

const (
	worldServices = 100
	worldServers  = 1000

	// oneRead is how many connections one read of the device brings.
	oneRead = 740
)

func newWorld() *world {
	w := &world{random: rand.New(rand.NewPCG(114, 2002)), seen: make(map[netip.AddrPort]struct{})}
	w.age = w.news
	w.addr = func(n uint32) netip.Addr {
		return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
	}
	return w
}

// news is the age of what is read every 100 ms.
func (w *world) news() time.Duration {
	return time.Duration(w.random.Int64N(int64(100 * time.Millisecond)))
}

// kept is the age of what is found in a table: seconds, minutes.
func (w *world) kept() time.Duration {
	return time.Duration(w.random.ExpFloat64() * float64(2*time.Minute))
}

// Four profiles: news of TCP connections through NAT.
var worldProfiles = [...]struct {
	state   ipvs.State
	flags   ipvs.Flags
	timeout time.Duration
}{
	{ipvs.TCPEstablished, 0, 15 * time.Minute},
	{ipvs.TCPSynRecv, 0, time.Minute},
	{ipvs.TCPFinWait, ipvs.FlagInactive, 2 * time.Minute},
	{ipvs.TCPTimeWait, ipvs.FlagInactive, 2 * time.Minute},
}

func (w *world) conn() ipvs.Conn {
	server := w.random.Uint32N(worldServers)
	service := server % worldServices
	if w.shared {
		service = w.random.Uint32N(worldServices)
	}
	p := worldProfiles[w.random.IntN(len(worldProfiles))]
	c := ipvs.Conn{
		Protocol: ipvs.TCP,
		Virtual:  netip.AddrPortFrom(w.addr(0xc6336400+service/4), uint16(80+service%4)),
		Dest:     netip.AddrPortFrom(w.addr(0x0a000000+server), uint16(8000+server%50)),
		State:    p.state, Flags: p.flags, Timeout: p.timeout,
		Age: w.age().Truncate(time.Millisecond),
	}
	for {
		c.Client = netip.AddrPortFrom(w.addr(w.random.Uint32()), uint16(1024+w.random.UintN(64512)))
		if _, ok := w.seen[c.Client]; !ok {
			w.seen[c.Client] = struct{}{}
			return c
		}
	}
}

func (w *world) conns(n int) []ipvs.Conn {
	list := make([]ipvs.Conn, n)
	for i := range list {
		list[i] = w.conn()
	}
	return list
}

// encode returns the ADVERT blocks of a frame that has room for all.
func encode(t testing.TB, list []ipvs.Conn) []byte {
	t.Helper()
	var e entry.Encoder
	if err := e.Reset(nil, block.MaxLength); err != nil {
		t.Fatal(err)
	}
	for i := range list {
		if err := e.Append(&list[i]); err != nil {
			t.Fatalf("connection %d, %v: %v", i, &list[i], err)
		}
	}
	return e.Finish()
}

// blocksOf returns the blocks of a body that has them, and nothing else.
func blocksOf(t testing.TB, blocks []byte, sequence uint64, held time.Duration) block.Blocks {
	t.Helper()
	return blocktest.Sent(t, blocktest.Body(blocks), sequence, held)
}

// advertOf returns one ADVERT with these entries.
func advertOf(t testing.TB, count int, entries []byte) []byte {
	t.Helper()
	return blocktest.Advert(t, block.ClassIPVS, count, entries)
}

// decode returns the connections in the ADVERT blocks of a frame.
func decode(t testing.TB, blocks []byte) []ipvs.Conn {
	t.Helper()
	var d entry.Decoder
	if err := d.Reset(blocksOf(t, blocks, 1, 0)); err != nil {
		t.Fatal(err)
	}
	list := take(&d)
	if d.Refusals() != (entry.Refusals{}) || len(list) != d.Count() {
		t.Fatalf("%d connections of %d, refused %+v", len(list), d.Count(), d.Refusals())
	}
	return list
}

// take returns all connections.
func take(d *entry.Decoder) []ipvs.Conn {
	var list []ipvs.Conn
	var c ipvs.Conn
	for d.Next(&c) {
		clone := c.Clone()
		if len(clone.PEData) == 0 {
			clone.PEData = nil
		}
		list = append(list, clone)
	}
	return list
}
