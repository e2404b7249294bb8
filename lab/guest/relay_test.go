package guest

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// A relay carries what one director tells to another, at the device: what two
// daemons do, without the wire and what its version 1 cannot say.
type relay struct {
	from, to        *director.Director
	capture, inject *chardev.Device
	batch           *chardev.Batch
}

// newRelay attaches a relay, until the end of the test.
func newRelay(t testing.TB, from, to *director.Director) *relay {
	t.Helper()
	return &relay{
		from: from, to: to,
		capture: capture(t, from),
		inject:  to.Attach(t, chardev.AttachOptions{Mode: chardev.ModeInject}),
		batch:   chardev.NewBatch(chardev.DefaultBatchSize),
	}
}

// pass carries what there is now, byte for byte, and returns it. An event or a
// refusal fails the test.
func (r *relay) pass(t testing.TB) []ipvs.Conn {
	t.Helper()
	var passed []ipvs.Conn
	for {
		some, err := r.capture.ReadBatch(r.batch)
		if err != nil {
			t.Fatal(err)
		}
		if !some {
			return passed
		}
		if events := r.batch.Events(); events != 0 {
			t.Fatalf("%s: events: %v", r.from.Name, events)
		}
		if n, err := r.inject.Write(r.batch.Bytes()); err != nil || n != r.batch.Len() {
			t.Fatalf("%s: took %d bytes of %d: %v", r.to.Name, n, r.batch.Len(), err)
		}
		first := len(passed)
		for c := (ipvs.Conn{}); r.batch.Next(&c); {
			passed = append(passed, c.Clone())
		}
		if err := r.batch.Err(); err != nil {
			t.Fatal(err)
		}
		refusals, err := r.inject.Refusals(nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, refused := range refusals {
			t.Errorf("%s: refused %v: %v", r.to.Name, &passed[first+int(refused.Index)], refused.Reason)
		}
	}
}

// failOver takes the one director out of the network and puts the other one in
// its place, which marks from now on what it sees packets of.
func (r *relay) failOver(t testing.TB, lab *topology.Topology) {
	t.Helper()
	lab.Cut(t, r.from)
	capture(t, r.to)
	lab.Activate(t, r.to)
}

// mustCarry fails the test unless packets have gone through the copy of a
// connection since the failover.
func (r *relay) mustCarry(t testing.TB, key ipvs.Key) {
	t.Helper()
	var found []ipvs.Conn
	for _, c := range snapshot(t, r.to, false) {
		if c.Key() == key {
			found = append(found, c)
		}
	}
	if len(found) != 1 || found[0].Flags&ipvs.FlagSync == 0 || found[0].Marks&ipvs.MarkLocal == 0 {
		t.Errorf("%s has %v: want one copy, which saw packets", r.to.Name, found)
	}
}

// A copied is a connection as its owner has it, and as a peer has its copy.
type copied struct{ owner, copy ipvs.Conn }

// copies pairs each connection that a director owns with its copy on a peer. One
// without a copy fails the test.
func copies(t testing.TB, owner, peer *director.Director) []copied {
	t.Helper()
	on := make(map[ipvs.Key]ipvs.Conn)
	for _, c := range snapshot(t, peer, false) {
		on[c.Key()] = c
	}
	var pairs []copied
	for _, c := range snapshot(t, owner, false) {
		if c.Marks&ipvs.MarkLocal == 0 && c.Flags&ipvs.FlagSync != 0 {
			continue
		}
		copy, has := on[c.Key()]
		if !has {
			t.Errorf("%s has no copy of %v", peer.Name, &c)
			continue
		}
		pairs = append(pairs, copied{c, copy})
	}
	return pairs
}

// compare compares each connection that a director owns with its copy on a peer,
// and returns the pairs.
func compare(t testing.TB, owner, peer *director.Director) []copied {
	t.Helper()
	pairs := copies(t, owner, peer)
	for _, pair := range pairs {
		pair.compare(t)
	}
	return pairs
}

// Flags that are each director's own business, and may differ.
const ownFlags = ipvs.FlagSync | // says which of the two is the copy
	ipvs.FlagHashed | // is in the table: never in a record
	ipvs.FlagNFCT // conntrack sees its packets: a setting of the director, and of ip_vs_ftp

// lifetimesApart is what the lifetimes that are left may differ by: the two
// tables are not read at the same moment.
const lifetimesApart = 2 * time.Second

// compare compares field by field; the key is the same already.
func (c copied) compare(t testing.TB) {
	t.Helper()
	for _, difference := range c.differences() {
		t.Errorf("%v: %s", &c.owner, difference)
	}
}

func (c copied) differences() (found []string) {
	field := func(name string, owner, copy any) {
		if owner != copy {
			found = append(found, fmt.Sprintf("%s: %v at its owner, %v in its copy", name, owner, copy))
		}
	}
	field("client", c.owner.Client, c.copy.Client)
	field("virtual service", c.owner.Virtual, c.copy.Virtual)
	field("real server", c.owner.Dest, c.copy.Dest)
	field("protocol", c.owner.Protocol, c.copy.Protocol)
	field("flags", c.owner.Flags&^ownFlags, c.copy.Flags&^ownFlags) // with the method
	field("state", c.owner.StateName(), c.copy.StateName())
	field("fwmark", c.owner.Fwmark, c.copy.Fwmark)
	field("timeout", c.owner.Timeout, c.copy.Timeout)
	field("sequence numbers in", c.owner.In, c.copy.In)
	field("sequence numbers out", c.owner.Out, c.copy.Out)
	field("persistence engine", c.owner.PEName, c.copy.PEName)
	field("data of the engine", string(c.owner.PEData), string(c.copy.PEData))
	field("bound", c.owner.Marks&ipvs.MarkBound, c.copy.Marks&ipvs.MarkBound)
	if c.owner.Marks&ipvs.MarkBound == 0 {
		found = append(found, "not bound to a real server")
	}
	if (c.owner.Remaining() - c.copy.Remaining()).Abs() > lifetimesApart {
		field("lifetime left", c.owner.Remaining(), c.copy.Remaining())
	}
	return found
}

// The comparison itself sees each field.
func TestCopiesAreComparedFieldByField(t *testing.T) {
	same := ipvs.Conn{
		Client:   netip.MustParseAddrPort("10.0.1.2:40000"),
		Virtual:  netip.MustParseAddrPort("192.0.2.80:80"),
		Dest:     netip.MustParseAddrPort("10.0.2.21:80"),
		Protocol: ipvs.TCP, Marks: ipvs.MarkBound, State: ipvs.TCPEstablished, Fwmark: 1,
		Timeout: 15 * time.Minute, Age: time.Minute, PEName: "sip", PEData: []byte("call"),
	}
	for name, change := range map[string]func(c *ipvs.Conn){
		"":                     func(c *ipvs.Conn) { c.Flags |= ownFlags; c.Age += lifetimesApart },
		"client":               func(c *ipvs.Conn) { c.Client = netip.MustParseAddrPort("[::ffff:10.0.1.2]:40000") },
		"virtual service":      func(c *ipvs.Conn) { c.Virtual = netip.MustParseAddrPort("192.0.2.80:81") },
		"real server":          func(c *ipvs.Conn) { c.Dest = netip.MustParseAddrPort("10.0.2.22:80") },
		"protocol":             func(c *ipvs.Conn) { c.Protocol, c.State = ipvs.SCTP, ipvs.SCTPEstablished },
		"flags":                func(c *ipvs.Conn) { c.Flags |= ipvs.Flags(ipvs.Tunnel) },
		"state":                func(c *ipvs.Conn) { c.State = ipvs.TCPSynRecv },
		"fwmark":               func(c *ipvs.Conn) { c.Fwmark = 0 },
		"timeout":              func(c *ipvs.Conn) { c.Timeout, c.Age = c.Timeout+1, c.Age+1 },
		"sequence numbers in":  func(c *ipvs.Conn) { c.In.PreviousDelta = 1 },
		"sequence numbers out": func(c *ipvs.Conn) { c.Out.Init = 1 },
		"persistence engine":   func(c *ipvs.Conn) { c.PEName = "" },
		"data of the engine":   func(c *ipvs.Conn) { c.PEData = []byte("Call") },
		"bound":                func(c *ipvs.Conn) { c.Marks = 0 },
		"lifetime left":        func(c *ipvs.Conn) { c.Age += lifetimesApart + 1 },
	} {
		changed := same.Clone()
		change(&changed)
		found := copied{same, changed}.differences()
		switch {
		case name == "" && len(found) != 0:
			t.Errorf("found %q where the two may differ", found)
		case name != "" && (len(found) != 1 || !strings.HasPrefix(found[0], name+": ")):
			t.Errorf("found %q, want %s alone", found, name)
		}
	}
}
