package ctentry_test

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/block/blocktest"
	"github.com/ssyncp/ssyncp/pkg/wire/ctentry"
)

func addr(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }

// flow returns an entry without translation.
func flow(p conntrack.Protocol, source, destination string) conntrack.Entry {
	e := conntrack.Entry{
		Protocol: p,
		Original: conntrack.Tuple{Source: addr(source), Destination: addr(destination)},
		Status:   conntrack.SeenReply | conntrack.Assured | conntrack.Confirmed,
		Timeout:  time.Minute,
	}
	e.Reply = e.Untranslated()
	return e
}

// plain returns one of many that are alike.
func plain(i int) conntrack.Entry {
	e := flow(conntrack.UDP, "192.0.2.1:0", "198.51.100.1:53")
	e.Original.Source = netip.AddrPortFrom(e.Original.Source.Addr(), uint16(1024+i))
	e.Reply = e.Untranslated()
	return e
}

// world is what the entries of a busy firewall are drawn from.
type world struct {
	random *rand.Rand
	age    func() time.Duration      // since the last packet
	addr   func(n uint32) netip.Addr // of a family
	flow   func(*world) conntrack.Entry
}

// oneRead is how many entries one read brings.
const oneRead = 740

func newWorld(flow func(*world) conntrack.Entry) *world {
	w := &world{random: rand.New(rand.NewPCG(114, 2002)), flow: flow}
	w.age = w.news
	w.addr = func(n uint32) netip.Addr {
		return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, n)))
	}
	return w
}

func ipv6(n uint32) netip.Addr {
	return netip.AddrFrom16([16]byte(binary.BigEndian.AppendUint32([]byte("\x20\x01\x0d\xb8abcdefgh"), n)))
}

// news is the age of what is read every 100 ms.
func (w *world) news() time.Duration {
	return time.Duration(w.random.Int64N(int64(100 * time.Millisecond)))
}

// kept is the age of what is found in a table: seconds, minutes.
func (w *world) kept() time.Duration {
	return time.Duration(w.random.ExpFloat64() * float64(2*time.Minute))
}

// forwarded is from anywhere to 100 ports that are forwarded to 1,000 servers.
func (w *world) forwarded() conntrack.Entry {
	server := w.random.Uint32N(1000)
	service := server % 100
	e := w.tcp(w.random.Uint32(), 0xc6336400+service/4, uint16(80+service%4))
	e.Reply.Source = netip.AddrPortFrom(w.addr(0x0a000000+server), uint16(8000+server%50))
	e.Status |= conntrack.DestNAT
	return e
}

// forwardedByIPVS is the same by another hand.
func (w *world) forwardedByIPVS() conntrack.Entry {
	e := w.forwarded()
	e.Status &^= conntrack.DestNAT
	return e
}

// masqueraded is from 1,000 clients to anywhere, mostly of ports that are kept.
func (w *world) masqueraded() conntrack.Entry {
	e := w.tcp(0x0a010000+w.random.Uint32N(1000), w.random.Uint32(), 443)
	e.Reply.Destination = netip.AddrPortFrom(w.addr(0xcb007101), e.Original.Source.Port())
	e.Status |= conntrack.SourceNAT
	return e
}

// routed is from anywhere to 1,000 servers.
func (w *world) routed() conntrack.Entry {
	return w.tcp(w.random.Uint32(), 0xc6336400+w.random.Uint32N(1000), 443)
}

func (w *world) tcp(source, destination uint32, port uint16) conntrack.Entry {
	profiles := [...]struct {
		state   conntrack.State
		timeout time.Duration
	}{
		{conntrack.TCPEstablished, 5 * 24 * time.Hour},
		{conntrack.TCPEstablished, 5 * 24 * time.Hour},
		{conntrack.TCPFinWait, 2 * time.Minute},
		{conntrack.TCPTimeWait, 2 * time.Minute},
	}
	p := profiles[w.random.IntN(len(profiles))]
	e := conntrack.Entry{
		Protocol: conntrack.TCP, State: p.state, Timeout: p.timeout, Age: w.age().Truncate(time.Millisecond),
		Status: conntrack.SeenReply | conntrack.Assured | conntrack.Confirmed,
		Original: conntrack.Tuple{
			Source:      netip.AddrPortFrom(w.addr(source), uint16(1024+w.random.UintN(64512))),
			Destination: netip.AddrPortFrom(w.addr(destination), port),
		},
		TCP: conntrack.TCPInfo{Scale: [2]uint8{uint8(6 + w.random.UintN(3)), 7}, Flags: [2]uint8{0x23, 0x23}},
	}
	e.Reply = e.Untranslated()
	return e
}

func (w *world) entries(n int) []conntrack.Entry {
	list := make([]conntrack.Entry, n)
	for i := range list {
		list[i] = w.flow(w)
	}
	return list
}

func newEncoder(t testing.TB, limit int) *ctentry.Encoder {
	t.Helper()
	var e ctentry.Encoder
	if err := e.Reset(nil, limit); err != nil {
		t.Fatal(err)
	}
	return &e
}

func appendTo(t testing.TB, e *ctentry.Encoder, list ...conntrack.Entry) {
	t.Helper()
	for i := range list {
		if err := e.Append(&list[i]); err != nil {
			t.Fatalf("entry %d, %v: %v", i, &list[i], err)
		}
	}
}

// encode returns the ADVERT blocks of a frame that has room for all.
func encode(t testing.TB, list ...conntrack.Entry) []byte {
	t.Helper()
	e := newEncoder(t, block.MaxLength)
	appendTo(t, e, list...)
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
	return blocktest.Advert(t, block.ClassConntrack, count, entries)
}

// decode returns the entries in the ADVERT blocks of a frame.
func decode(t testing.TB, blocks []byte) []conntrack.Entry {
	t.Helper()
	var d ctentry.Decoder
	if err := d.Reset(blocksOf(t, blocks, 1, 0)); err != nil {
		t.Fatal(err)
	}
	list := take(&d)
	if d.Refusals() != (ctentry.Refusals{}) || len(list) != d.Count() {
		t.Fatalf("%d entries of %d, refused %+v", len(list), d.Count(), d.Refusals())
	}
	return list
}

// take returns all entries.
func take(d *ctentry.Decoder) (list []conntrack.Entry) {
	var c conntrack.Entry
	for d.Next(&c) {
		list = append(list, c)
	}
	return list
}
