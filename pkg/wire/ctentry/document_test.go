package ctentry_test

import (
	"math"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/block/blocktest"
	"github.com/ssyncp/ssyncp/pkg/wire/ctentry"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/goldentest"
)

// section returns that of class 2.
func section(t testing.TB) string {
	t.Helper()
	text, err := os.ReadFile("../../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n#### Entries of class 2: conntrack entries\n")
	if !ok {
		t.Fatal("the document has no such section")
	}
	section, _, _ = strings.Cut(section, "\n#### ")
	return section
}

var fenced = regexp.MustCompile("(?s)\n```\n(.*?)```\n")

// The ADVERT that docs/protocol.md takes apart says what the comments say.
func TestAdvertOfTheProtocolDocument(t *testing.T) {
	examples := fenced.FindAllStringSubmatch(section(t), -1)
	if len(examples) != 2 {
		t.Fatalf("%d examples, want the layout and an ADVERT", len(examples))
	}
	blocks, err := goldentest.Parse(examples[1][1])
	if err != nil {
		t.Fatal(err)
	}
	want := []conntrack.Entry{
		with(flow(conntrack.TCP, "10.1.0.5:40000", "198.51.100.1:443"), func(e *conntrack.Entry) {
			e.Reply.Destination = addr("203.0.113.1:1025")
			e.Status, e.State, e.Timeout = 0x19e, conntrack.TCPEstablished, established
			e.Age = 296*time.Millisecond + 25*time.Millisecond
			e.TCP = conntrack.TCPInfo{Scale: [2]uint8{7, 9}, Flags: [2]uint8{0x23, 0x23}}
		}),
		with(flow(conntrack.UDP, "10.1.0.6:5353", "198.51.100.1:53"), func(e *conntrack.Entry) {
			e.Status, e.Timeout, e.Age = 0x18a, 0, 25*time.Millisecond
		}),
	}
	body := blocktest.Body(blocks)
	parsed, err := block.Parse(body)
	if err != nil {
		t.Fatal(err)
	}
	var d ctentry.Decoder
	if err := d.Reset(parsed.Blocks()); err != nil {
		t.Fatal(err)
	}
	if got := take(&d); !slices.Equal(got, want) {
		t.Errorf("got\n%+v, want\n%+v", got, want)
	}
	for i := range want {
		want[i].Age -= 25 * time.Millisecond
	}
	again := blocktest.Body(encode(t, want...))
	block.Stamp(again, 99, 25*time.Millisecond)
	if !slices.Equal(again, body) {
		t.Errorf("encoded:\n%x", again)
	}
}

// The question that docs/protocol.md takes apart, and the answer to it, say
// what the comments say.
func TestAnswerOfTheProtocolDocument(t *testing.T) {
	text, err := os.ReadFile("../../../docs/protocol.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n#### QUERY (0x0c), ANSWER (0x0d) and LAST ADVERTS (0x0e)\n")
	section, _, _ = strings.Cut(section, "\n### ")
	examples := fenced.FindAllStringSubmatch(section, -1)
	if len(examples) != 2 {
		t.Fatalf("%d examples, want a question and its answer", len(examples))
	}
	var blocks [2]block.Blocks
	var octets [2][]byte
	for i := range blocks {
		if octets[i], err = goldentest.Parse(examples[i][1]); err != nil {
			t.Fatal(err)
		}
		blocks[i] = blocksOf(t, octets[i], 0, 0)
	}
	asker := block.Peer{Sender: 42, Start: block.StartID{0x9f, 0x86, 0xd0, 0x81, 0x88, 0x4c, 0x7d, 0x65, 0x9a, 0x2f, 0xea, 0xa0, 0xc5, 0x5a, 0xd0, 0x15}}
	asked := block.Peer{Sender: 43}
	for i := range asked.Start {
		asked.Start[i] = 0xf0 + byte(i)
	}
	entry := with(flow(conntrack.TCP, "10.1.0.5:40000", "198.51.100.1:443"), func(e *conntrack.Entry) {
		e.Reply.Destination = addr("203.0.113.1:1025")
		e.Status, e.State, e.Timeout, e.Age = 0x19e, conntrack.TCPEstablished, established, 1796*time.Millisecond
		e.TCP = conntrack.TCPInfo{Scale: [2]uint8{7, 9}, Flags: [2]uint8{0x23, 0x23}}
	})

	var b block.Block
	blocks[0].Next(&b)
	q, err := b.Query()
	if err != nil || q.Peer != asked || q.Query != 7 || q.Class != block.ClassConntrack {
		t.Errorf("asked %+v, %v", q, err)
	}
	s, err := block.ParseSelector(q.Selector)
	if err != nil || !s.Matches(uint8(entry.Protocol), entry.Original.Source, entry.Original.Destination) || s.Virtual.IsValid() {
		t.Errorf("selected %+v, %v", s, err)
	}
	blocks[1].Next(&b)
	l, err := b.LastAdverts()
	if err != nil || l.Peer != asker || l.Query != 7 || !slices.Equal(l.Ago, []time.Duration{1500 * time.Millisecond}) {
		t.Errorf("told last: %+v, %v", l, err)
	}
	blocks[1].Next(&b)
	a, err := b.Answer()
	if err != nil || a.Peer != asker || a.Query != 7 || a.More || a.Failed || !slices.Equal(a.Marks, []block.Marks{block.MarkTold}) {
		t.Errorf("answered %+v, %v", a, err)
	}
	var d ctentry.Decoder
	if err := d.Reset(a.Objects); err != nil {
		t.Fatal(err)
	}
	if got := take(&d); !slices.Equal(got, []conntrack.Entry{entry}) {
		t.Errorf("got\n%+v, want\n%+v", got, entry)
	}

	question, err := block.AppendQuery(nil, &q)
	if err != nil || !slices.Equal(question, octets[0]) {
		t.Errorf("encoded:\n%x, %v", question, err)
	}
	answer, err := block.AppendLastAdverts(nil, &l)
	if err == nil {
		answer, err = block.AppendAnswer(answer, &a, encode(t, entry))
	}
	if err != nil || !slices.Equal(answer, octets[1]) {
		t.Errorf("encoded:\n%x, %v", answer, err)
	}
}

// What an entry takes in full frames of an Ethernet, sealed: with the IP
// header, the frame's, nonce, tag, body header, heads of blocks and
// definitions. Of each batch, the last frame is not full, and left out.
func TestCompact(t *testing.T) {
	forwarded, masqueraded := (*world).forwarded, (*world).masqueraded
	text := section(t)
	for _, tt := range []struct {
		name   string
		flow   func(*world) conntrack.Entry
		change func(*world)
		most   float64 // bytes an entry, 0 for any
	}{
		{"news, forwarded ports (DNAT)", forwarded, func(*world) {}, 24},
		{"of a table, forwarded ports", forwarded, func(w *world) { w.age = w.kept }, 24},
		{"of a table, behind IPVS", (*world).forwardedByIPVS, func(w *world) { w.age = w.kept }, 24},
		{"news, masqueraded (SNAT) to anywhere", masqueraded, func(*world) {}, 24},
		{"of a table, masqueraded", masqueraded, func(w *world) { w.age = w.kept }, 0},
		{"of a table, without NAT, from anywhere", (*world).routed, func(w *world) { w.age = w.kept }, 24},
		{"of a table, forwarded, IPv6 throughout", forwarded, func(w *world) { w.age, w.addr = w.kept, ipv6 }, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(tt.flow)
			tt.change(w)
			var o ctentry.Order
			var e ctentry.Encoder
			buf := make([]byte, bodySize)
			var octets, entries int
			for range 100 {
				list := w.entries(oneRead)
				last := 0
				bodies(t, &e, buf, list, o.Of(list), func(body []byte) {
					octets += 20 + sealing + len(body)
					last = e.Count()
					entries += last
				})
				octets -= 20 + sealing + len(e.Finish())
				entries -= last
			}
			each := float64(octets) / float64(entries)
			t.Logf("%.2f bytes an entry", each)
			if tt.most > 0 && each > tt.most {
				t.Errorf("%.2f bytes an entry, at most %v are asked for", each, tt.most)
			}
			_, said, ok := strings.Cut(text, "\n| "+tt.name+" | ")
			said, _, _ = strings.Cut(said, " |")
			// What shares a frame differs a little from run to run: Order's
			// seed is drawn.
			if n, err := strconv.ParseFloat(said, 64); !ok || err != nil || math.Abs(n-each) > 0.2 {
				t.Errorf("docs/protocol.md says %q", said)
			}
		})
	}
}
