package wireshark_test

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/keyring"
	"github.com/ssyncp/ssyncp/internal/wiresharktest"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/ctentry"
	"github.com/ssyncp/ssyncp/pkg/wire/entry"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

const (
	syncID  = 7
	udpPort = 7114
)

// golden returns the octets of an annotated file of pkg/wire.
func golden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("../../pkg/wire", name))
	if err != nil {
		t.Fatal(err)
	}
	var digits strings.Builder
	for line := range strings.Lines(string(text)) {
		line, _, _ = strings.Cut(line, "#")
		digits.WriteString(strings.Join(strings.Fields(line), ""))
	}
	octets, err := hex.DecodeString(digits.String())
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return octets
}

// newKey makes a key file as an operator does.
func newKey(t testing.TB) (path string, key frame.Key) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "key")
	key, err := keyring.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	return path, key
}

func seal(t testing.TB, key frame.Key, body []byte) []byte {
	t.Helper()
	sealer, err := frame.NewSealer(syncID, key, nil)
	if err != nil {
		t.Fatal(err)
	}
	message, err := sealer.Seal(nil, body)
	if err != nil {
		t.Fatal(err)
	}
	return message
}

func sealClear(t testing.TB, body []byte) []byte {
	t.Helper()
	sealer, err := frame.NewClearSealer(syncID)
	if err != nil {
		t.Fatal(err)
	}
	message, err := sealer.Seal(nil, body)
	if err != nil {
		t.Fatal(err)
	}
	return message
}

// bodyOf puts a header before blocks.
func bodyOf(blocks []byte) []byte {
	body := make([]byte, block.HeaderSize)
	header := block.Header{Peer: block.Peer{Sender: 42, Start: block.StartID{15: 1}}, Number: 1000}
	header.Put(body)
	return append(body, blocks...)
}

// every has each kind of block that is beside ADVERT, by the encoders.
func every(t testing.TB) []byte {
	t.Helper()
	peer := block.Peer{Sender: 43, Start: block.StartID{0: 0xf0}}
	body := bodyOf(nil)
	for _, appendTo := range []func([]byte) ([]byte, error){
		func(p []byte) ([]byte, error) {
			return block.AppendHeartbeat(p, &block.Heartbeat{Last: 1<<40 + 9, State: block.StateDegraded, Interval: time.Second, Entries: 20_000, Gaps: 7, Name: []byte("dir-é1")})
		},
		func(p []byte) ([]byte, error) { return block.AppendChallenge(p, &block.Challenge{Peer: peer}) },
		func(p []byte) ([]byte, error) { return block.AppendEcho(p, &block.Challenge{Peer: peer}) },
		func(p []byte) ([]byte, error) {
			return block.AppendNack(p, peer, []block.Range{{First: 5, Count: 2}, {First: 1 << 33, Count: 1}})
		},
		func(p []byte) ([]byte, error) { return block.AppendGone(p, block.Gone{First: 1, Last: 255}) },
		func(p []byte) ([]byte, error) {
			return block.AppendSnapshotRequest(p, &block.SnapshotRequest{Peer: peer, Request: 0xdeadbeef, Classes: block.ClassesOf(1, 2), Owned: true})
		},
		func(p []byte) ([]byte, error) {
			return block.AppendSnapshotChunk(p, &block.SnapshotChunk{Peer: peer, Request: 0xdeadbeef, Number: 256, Last: true})
		},
		func(p []byte) ([]byte, error) {
			return block.AppendSnapshotAck(p, &block.SnapshotAck{Peer: peer, Request: 0xdeadbeef, Next: 16}, []block.ChunkRange{{First: 16, Count: 1}, {First: 20, Count: 3}})
		},
		func(p []byte) ([]byte, error) { return block.AppendProbe(p, 100) },
		func(p []byte) ([]byte, error) {
			return block.AppendProbeAck(p, &block.ProbeAck{Peer: peer, Number: 1<<40 + 3})
		},
		func(p []byte) ([]byte, error) {
			return block.AppendQuery(p, &block.Query{Peer: peer, Query: 0xcafe0001, Class: 1, Selector: []byte{2, 6, 0x15, 0xb3, 10, 0, 0, 1, 0, 80, 192, 0, 2, 80}})
		},
		func(p []byte) ([]byte, error) {
			objects := golden(t, "entry/testdata/ipv4.hex")
			a, err := block.Block{Type: block.TypeAdvert, Payload: objects[block.HeadSize:]}.Advert()
			if err != nil {
				return p, err
			}
			marks := make([]block.Marks, a.Count)
			marks[0] = block.MarkOwned | block.MarkBound
			return block.AppendAnswer(p, &block.Answer{Peer: peer, Query: 0xcafe0002, More: true, Marks: marks}, unnumbered(objects))
		},
		func(p []byte) ([]byte, error) {
			return block.AppendQuery(p, &block.Query{Peer: peer, Query: 0xcafe0003, Class: 2, Selector: []byte{0, 17, 0x14, 0xe9, 10, 1, 0, 6}})
		},
		func(p []byte) ([]byte, error) {
			return block.AppendLastAdverts(p, &block.LastAdverts{Peer: peer, Query: 0xcafe0004, Ago: []time.Duration{-1, 1500 * time.Millisecond}})
		},
		func(p []byte) ([]byte, error) {
			var e ctentry.Encoder
			if err := e.Reset(nil, block.MaxLength); err != nil {
				return p, err
			}
			for _, one := range tracked {
				if err := e.Append(&one); err != nil {
					return p, err
				}
			}
			return block.AppendAnswer(p, &block.Answer{Peer: peer, Query: 0xcafe0004, Failed: true, Marks: []block.Marks{block.MarkOwned, block.MarkTold}}, e.Finish())
		},
	} {
		var err error
		if body, err = appendTo(body); err != nil {
			t.Fatal(err)
		}
	}
	return body
}

// tracked are the conntrack entries of an ANSWER.
var tracked = []conntrack.Entry{
	{
		Protocol: conntrack.UDP, Status: conntrack.SeenReply | conntrack.Confirmed, Timeout: time.Minute,
		Original: conntrack.Tuple{Source: netip.MustParseAddrPort("10.1.0.6:5353"), Destination: netip.MustParseAddrPort("198.51.100.1:53")},
		Reply:    conntrack.Tuple{Source: netip.MustParseAddrPort("198.51.100.1:53"), Destination: netip.MustParseAddrPort("10.1.0.6:5353")},
	},
	{
		Protocol: conntrack.UDP, Status: conntrack.SeenReply | conntrack.Confirmed, Timeout: time.Minute,
		Original: conntrack.Tuple{Source: netip.MustParseAddrPort("10.1.0.6:5353"), Destination: netip.MustParseAddrPort("198.51.100.2:53")},
		Reply:    conntrack.Tuple{Source: netip.MustParseAddrPort("198.51.100.2:53"), Destination: netip.MustParseAddrPort("10.1.0.6:5353")},
	},
}

// unnumbered returns an ADVERT as it is in an ANSWER.
func unnumbered(advert []byte) []byte {
	body := bodyOf(advert)
	block.Stamp(body, 0, 0)
	return body[block.HeaderSize:]
}

// fields are those that a packet is to have, in the order of its entries.
type fields map[string][]string

func (f fields) add(name string, value any) {
	f[name] = append(f[name], fmt.Sprint(value))
}

func (f fields) address(name string, a netip.Addr) {
	if a.Is6() {
		name += "6"
	}
	f.add(name, a)
}

func (f fields) compare(t *testing.T, prefix string, got wiresharktest.Packet) {
	t.Helper()
	for name, want := range f {
		if got := got[wiresharktest.Prefix+prefix+name]; !slices.Equal(got, want) {
			t.Errorf("%s%s: got %q, want %q", prefix, name, got, want)
		}
	}
	if experts := got.Experts(); len(experts) > 0 {
		t.Errorf("finds fault: %v", experts)
	}
}

func (f fields) conn(c *ipvs.Conn) {
	f.add("protocol", uint8(c.Protocol))
	f.add("cport", c.Client.Port())
	f.add("vport", c.Virtual.Port())
	f.add("dport", c.Dest.Port())
	f.address("caddr", c.Client.Addr())
	f.address("vaddr", c.Virtual.Addr())
	f.address("daddr", c.Dest.Addr())
	f.add("state", uint16(c.State))
	f.add("state_name", c.StateName())
	f.add("flags.method", uint8(c.Method()))
	if c.Flags&ipvs.FlagSeqMask != 0 {
		f.add("in.init", c.In.Init)
		f.add("in.delta", c.In.Delta)
		f.add("out.previous_delta", c.Out.PreviousDelta)
	}
}

func (f fields) entry(c *conntrack.Entry) {
	f.add("protocol", uint8(c.Protocol))
	f.address("saddr", c.Original.Source.Addr())
	f.add("sport", c.Original.Source.Port())
	f.address("daddr", c.Original.Destination.Addr())
	f.add("dport", c.Original.Destination.Port())
	f.add("status", fmt.Sprintf("0x%08x", uint32(c.Status)))
	f.add("state", uint8(c.State))
	f.add("timeout", c.Timeout.Milliseconds())
	f.add("total_age", c.Age.Milliseconds())
	if c.TranslatedSource() {
		f.address("translated.saddr", c.Reply.Destination.Addr())
		f.add("translated.sport", c.Reply.Destination.Port())
	}
	if c.TranslatedDestination() {
		f.address("translated.daddr", c.Reply.Source.Addr())
		f.add("translated.dport", c.Reply.Source.Port())
	}
	if c.Protocol == conntrack.TCP {
		f.add("tcp.scale", c.TCP.Scale[0])
		f.add("tcp.reply_scale", c.TCP.Scale[1])
	}
	if c.Helper != "" {
		f.add("helper", c.Helper)
	}
	if c.Adjust != [2]conntrack.Adjustment{} {
		f.add("adjust.before", c.Adjust[0].Before)
		f.add("reply_adjust.after", c.Adjust[1].After)
	}
}

func TestVersion1IsWhatTheDecoderSays(t *testing.T) {
	names := []string{"tcp", "mixed", "sequence"}
	var packets [][]byte
	for _, name := range names {
		message := golden(t, "testdata/"+name+".hex")
		packets = append(packets, wiresharktest.IP(wire.Protocol, message), wiresharktest.UDP(udpPort, message))
	}
	for i, got := range wiresharktest.Dissect(t, packets) {
		t.Run(names[i/2], func(t *testing.T) {
			advert, err := wire.Decode(golden(t, "testdata/"+names[i/2]+".hex"))
			if err != nil {
				t.Fatal(err)
			}
			want := fields{}
			for c := (ipvs.Conn{}); advert.Next(&c); {
				want.conn(&c)
			}
			want.compare(t, "v1.", got)
			fields{"count": {strconv.Itoa(advert.Count())}, "sync_id": {strconv.Itoa(int(advert.SyncID()))}}.compare(t, "", got)
		})
	}
}

func TestEntriesAreWhatTheDecodersSay(t *testing.T) {
	names := []string{"entry/testdata/ipv4", "entry/testdata/mixed", "ctentry/testdata/ipv4", "ctentry/testdata/mixed"}
	keyFile, key := newKey(t)
	var packets, bodies [][]byte
	for _, name := range names {
		body := bodyOf(golden(t, name+".hex"))
		bodies = append(bodies, body, body)
		packets = append(packets, wiresharktest.IP(wire.Protocol, seal(t, key, body)), wiresharktest.UDP(udpPort, sealClear(t, body)))
	}
	for i, got := range wiresharktest.Dissect(t, packets, keyFile) {
		t.Run(names[i/2], func(t *testing.T) {
			body, err := block.Parse(bodies[i])
			if err != nil {
				t.Fatal(err)
			}
			var conns entry.Decoder
			var entries ctentry.Decoder
			if err := conns.Reset(body.Blocks()); err != nil {
				t.Fatal(err)
			}
			if err := entries.Reset(body.Blocks()); err != nil {
				t.Fatal(err)
			}
			if conns.Count()+entries.Count() == 0 {
				t.Fatal("no entries")
			}
			want := fields{}
			for c := (ipvs.Conn{}); conns.Next(&c); {
				want.conn(&c)
				want.add("timeout", c.Timeout.Milliseconds())
				want.add("total_age", c.Age.Milliseconds())
				want.add("flags", fmt.Sprintf("0x%08x", uint32(c.Flags)))
				if c.PEName != "" {
					want.add("pe_name", c.PEName)
				}
			}
			want.compare(t, "ipvs.", got)
			want = fields{}
			for c := (conntrack.Entry{}); entries.Next(&c); {
				want.entry(&c)
			}
			want.compare(t, "ct.", got)
		})
	}
}

func TestBlocksAreWhatWasEncoded(t *testing.T) {
	keyFile, key := newKey(t)
	got := wiresharktest.Dissect(t, [][]byte{wiresharktest.IP(wire.Protocol, seal(t, key, every(t)))}, keyFile)
	fields{
		"sender": {"42"}, "frame_number": {"1000"}, "key_id": {"0x" + key.ID().String()}, "key_file": {keyFile},
		"block.type":     {"0x02", "0x03", "0x04", "0x05", "0x06", "0x07", "0x08", "0x09", "0x0a", "0x0b", "0x0c", "0x01", "0x0d", "0x0c", "0x0e", "0x01", "0x0d"}, // those within an ANSWER before it
		"heartbeat.last": {"1099511627785"}, "heartbeat.state": {"4"}, "heartbeat.interval": {"1000"},
		"heartbeat.entries": {"20000"}, "heartbeat.gaps": {"7"}, "heartbeat.name": {"dir-é1"},
		"nack.first": {"5", "8589934592"}, "nack.count": {"2", "1"}, "gone.first": {"1"}, "gone.last": {"255"},
		"snapshot.request": {"0xdeadbeef", "0xdeadbeef", "0xdeadbeef"}, "snapshot.classes": {"0x00000006"},
		"snapshot.number": {"256"}, "snapshot.next": {"16"},
		"snapshot.missing.first": {"16", "20"}, "snapshot.missing.count": {"1", "3"}, "probe_ack.number": {"1099511627779"},
		"query": {"0xcafe0001", "0xcafe0002", "0xcafe0003", "0xcafe0004", "0xcafe0004"}, "query.class": {"1", "2"}, "query.protocol": {"6", "17"},
		"query.cport": {"5555", "5353"}, "query.caddr": {"10.0.0.1", "10.1.0.6"},
		"query.vport": {"80"}, "query.vaddr": {"192.0.2.80"},
		"answer.more": {"1", "0"}, "answer.failed": {"0", "1"}, "answer.owned": {"1", "0", "0", "0", "1", "0"}, "answer.told": {"0", "0", "0", "0", "0", "1"},
		"answer.bound": {"1", "0", "0", "0", "0", "0"}, "seq": {"0", "0"}, "last_adverts.ago": {"4294967295", "1500"},
		"ct.saddr": {"10.1.0.6", "10.1.0.6"}, "ct.daddr": {"198.51.100.1", "198.51.100.2"}, "ct.sport": {"5353", "5353"},
	}.compare(t, "", got[0])
}

func TestSaysWhatIsWrong(t *testing.T) {
	keyFile, key := newKey(t)
	_, other := newKey(t)
	flip := func(p []byte, at int) []byte {
		p[at] ^= 1
		return p
	}
	suite2 := sealClear(t, every(t))
	suite2[8] = 2
	tests := []struct {
		name, expert string
		message      []byte
	}{
		{"checksum of version 1", "checksum", flip(golden(t, "testdata/tcp.hex"), 10)},
		{"checksum of version 2", "checksum", flip(sealClear(t, every(t)), 20)},
		{"tag", "tag", flip(seal(t, key, every(t)), 60)},
		{"additional data", "tag", flip(seal(t, key, every(t)), 1)},
		{"another key", "key", seal(t, other, every(t))},
		{"another version", "version", []byte{0, 7, 0, 8, 0, 3, 0, 0}},
		{"another suite", "version", suite2},
		{"cut off", "truncated", golden(t, "testdata/tcp.hex")[:20]},
		{"no block", "malformed", seal(t, key, bodyOf(nil))},
		{"empty body", "malformed", seal(t, key, nil)},
	}
	var packets [][]byte
	for _, test := range tests {
		packets = append(packets, wiresharktest.IP(wire.Protocol, test.message))
	}
	for i, got := range wiresharktest.Dissect(t, packets, keyFile) {
		if !slices.Contains(got.Experts(), tests[i].expert) {
			t.Errorf("%s: got %v, want %s", tests[i].name, got.Experts(), tests[i].expert)
		}
	}
}

func TestReadsWhatIPv6Carries(t *testing.T) {
	keyFile, key := newKey(t)
	got := wiresharktest.Dissect(t, [][]byte{wiresharktest.IPv6(wire.Protocol, seal(t, key, every(t)))}, keyFile)
	fields{"frame_number": {"1000"}, "key_file": {keyFile}}.compare(t, "", got[0])
}

func TestOpensWithAnyOfTheKeys(t *testing.T) {
	first, firstKey := newKey(t)
	second, secondKey := newKey(t)
	packets := [][]byte{wiresharktest.IP(wire.Protocol, seal(t, firstKey, every(t))), wiresharktest.IP(wire.Protocol, seal(t, secondKey, every(t)))}
	got := wiresharktest.Dissect(t, packets, first, second)
	fields{"key_file": {first}}.compare(t, "", got[0])
	fields{"key_file": {second}}.compare(t, "", got[1])
}

func TestSaysWhichKeyFileIsNone(t *testing.T) {
	keyFile, key := newKey(t)
	none := filepath.Join(t.TempDir(), "none")
	if err := os.WriteFile(none, []byte("ssyncp-key-1:AAAA\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{none, filepath.Join(t.TempDir(), "absent")} {
		got := wiresharktest.Dissect(t, [][]byte{wiresharktest.IP(wire.Protocol, seal(t, key, every(t)))}, file, keyFile)
		if !slices.Contains(got[0].Experts(), "key_file") {
			t.Errorf("%s: got %v, want key_file", file, got[0].Experts())
		}
		if opened := got[0][wiresharktest.Prefix+"key_file"]; !slices.Equal(opened, []string{keyFile}) {
			t.Errorf("%s: opened with %q, want the other one", file, opened)
		}
	}
}

// bodies are those that damage is done to.
func bodies(t testing.TB) [][]byte {
	return [][]byte{
		every(t), golden(t, "block/testdata/chunk.hex"),
		bodyOf(golden(t, "entry/testdata/ipv4.hex")), bodyOf(golden(t, "entry/testdata/mixed.hex")),
		bodyOf(golden(t, "ctentry/testdata/ipv4.hex")), bodyOf(golden(t, "ctentry/testdata/mixed.hex")),
	}
}

func TestTruncationIsSaidAtEveryOctet(t *testing.T) {
	keyFile, key := newKey(t)
	messages := [][]byte{golden(t, "testdata/mixed.hex"), golden(t, "testdata/sequence.hex"), golden(t, "frame/testdata/sealed.hex")}
	for _, body := range bodies(t) {
		messages = append(messages, sealClear(t, body), seal(t, key, body))
	}
	var packets [][]byte
	for _, message := range messages {
		for n := 1; n < len(message); n++ {
			packets = append(packets, wiresharktest.IP(wire.Protocol, message[:n]))
		}
	}
	for i, got := range wiresharktest.Dissect(t, packets, keyFile) {
		if len(got.Experts()) == 0 {
			t.Errorf("% x: finds no fault", packets[i][20:])
		}
	}
}

// refusal returns why a director refuses a body.
func refusal(p []byte) error {
	body, err := block.Parse(p)
	if err != nil {
		return err
	}
	var conns entry.Decoder
	if err := conns.Reset(body.Blocks()); err != nil {
		return err
	}
	var entries ctentry.Decoder
	if err := entries.Reset(body.Blocks()); err != nil {
		return err
	}
	var b block.Block
	for blocks := body.Blocks(); blocks.Next(&b); {
		if b.Type != block.TypeAnswer {
			continue
		}
		a, err := b.Answer()
		if err != nil {
			return err
		}
		if err := errors.Join(conns.Reset(a.Objects), entries.Reset(a.Objects)); err != nil {
			return err
		}
	}
	return nil
}

func TestFindsFaultWithWhatADirectorRefuses(t *testing.T) {
	keyFile, key := newKey(t)
	random := rand.New(rand.NewPCG(1, 2))
	const rounds = 500
	var packets, mutants [][]byte
	for _, body := range bodies(t) {
		for n := range rounds {
			p := slices.Clone(body)
			for range 1 + random.IntN(3) {
				p[random.IntN(len(p))] = byte(random.IntN(256) >> random.IntN(8))
			}
			if n%5 == 0 {
				p = p[:random.IntN(len(p))]
			}
			message := sealClear(t, p)
			if n%10 == 0 {
				message = seal(t, key, p)
			}
			packets, mutants = append(packets, wiresharktest.IP(wire.Protocol, message)), append(mutants, p)
		}
	}
	refused := 0
	for i, got := range wiresharktest.Dissect(t, packets, keyFile) {
		experts := got.Experts()
		complains := slices.Contains(experts, "malformed") || slices.Contains(experts, "truncated")
		err := refusal(mutants[i])
		if complains != (err != nil) {
			t.Errorf("% x: finds %v, and a director says %v", mutants[i], experts, err)
		}
		if err != nil {
			refused++
		}
	}
	if refused == 0 || refused == len(packets) {
		t.Errorf("%d of %d are refused: the test shows nothing", refused, len(packets))
	}
}

func TestDamagedFramesAreNoErrorsOfTheScript(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	messages := [][]byte{golden(t, "testdata/mixed.hex"), golden(t, "testdata/sequence.hex")}
	for _, body := range bodies(t) {
		messages = append(messages, sealClear(t, body))
	}
	var packets [][]byte
	for _, message := range messages {
		for range 250 {
			p := slices.Clone(message)
			for range 1 + random.IntN(8) {
				p[random.IntN(len(p))] = byte(random.IntN(256))
			}
			packets = append(packets, wiresharktest.IP(wire.Protocol, p))
		}
	}
	for i, got := range wiresharktest.Dissect(t, packets) {
		if len(got[wiresharktest.Prefix+"sync_id"]) == 0 {
			t.Errorf("% x: is not dissected", packets[i][20:])
		}
	}
}
