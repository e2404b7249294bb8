package conntrackclass_test

import (
	"encoding/binary"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/ctnetlink/ctnetlinktest"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

// expectation asks for one as FTP's helper makes them, of the connection that
// will come from the server's data port.
func expectation(master *conntrack.Entry) []byte {
	attribute := func(typ uint16, value []byte) []byte {
		p := binary.NativeEndian.AppendUint16(nil, uint16(4+len(value)))
		p = append(binary.NativeEndian.AppendUint16(p, typ), value...)
		for len(p)%4 != 0 {
			p = append(p, 0)
		}
		return p
	}
	nest := func(typ uint16, inner ...[]byte) []byte {
		var all []byte
		for _, p := range inner {
			all = append(all, p...)
		}
		return attribute(typ|0x8000, all)
	}
	port := func(n uint16) []byte { return binary.BigEndian.AppendUint16(nil, n) }
	tuple := func(typ uint16, source, dest []byte, sourcePort, destPort uint16) []byte {
		return nest(typ, nest(1, attribute(1, source), attribute(2, dest)),
			nest(2, attribute(1, []byte{byte(master.Protocol)}), attribute(2, port(sourcePort)), attribute(3, port(destPort))))
	}
	client, server := master.Original.Source, master.Original.Destination
	all := []byte{0xff, 0xff, 0xff, 0xff}
	body := append([]byte{unix.AF_INET, 0, 0, 0}, tuple(1, client.Addr().AsSlice(), server.Addr().AsSlice(), client.Port(), server.Port())...) // CTA_EXPECT_MASTER
	body = append(body, tuple(2, server.Addr().AsSlice(), client.Addr().AsSlice(), 0, 4711)...)                                                // CTA_EXPECT_TUPLE
	body = append(body, tuple(3, all, all, 0, 0xffff)...)                                                                                      // CTA_EXPECT_MASK
	body = append(body, attribute(4, binary.BigEndian.AppendUint32(nil, 60))...)                                                               // CTA_EXPECT_TIMEOUT
	p := binary.NativeEndian.AppendUint32(nil, uint32(16+len(body)))
	p = binary.NativeEndian.AppendUint16(p, 2<<8) // IPCTNL_MSG_EXP_NEW
	p = binary.NativeEndian.AppendUint16(p, unix.NLM_F_REQUEST|unix.NLM_F_CREATE|unix.NLM_F_EXCL)
	p = append(p, 1, 0, 0, 0, 0, 0, 0, 0)
	return append(p, body...)
}

// The kernel says nothing where a helper moves the sequence numbers of a
// connection; but then it expects another one.
func TestAConnectionWhoseHelperExpectsAnotherIsToldAgain(t *testing.T) {
	a, b := newDirector(t), newDirector(t)
	e := ctnetlinktest.Flow(conntrack.TCP, "192.0.2.1:40000", "198.51.100.1:21", func(e *conntrack.Entry) { e.Helper = "ftp" })
	other := ctnetlinktest.Flow(conntrack.TCP, "192.0.2.1:40001", "198.51.100.1:21")
	a.make(t, time.Hour, e, other)
	if found, _ := a.find(t, e); found.Entry.Helper != "ftp" {
		t.Skip("this kernel has no helper for FTP")
	}
	b.hears(t, a.told(t))
	if copied, ok := b.find(t, e); !ok || copied.Entry.Helper != "ftp" {
		t.Errorf("the copy has %+v", copied.Entry)
	}
	for _, m := range a.ask(t, expectation(&e)) {
		if m.Errno != 0 {
			t.Fatalf("expectation: %v", m.Errno)
		}
	}
	began := time.Now()
	told := entriesOf(t, a.told(t))
	// It is an hour before its end, and not four days old.
	if len(told) == 1 && told[0].Age > time.Since(began)+time.Second {
		t.Errorf("told to be %v old", told[0].Age)
	}
	if len(told) != 1 || told[0].Key() != e.Key() || told[0].State != e.State || told[0].TCP != e.TCP || told[0].Helper != "ftp" {
		t.Errorf("told %+v", told)
	}
	if got := entriesOf(t, a.told(t)); len(got) != 0 {
		t.Errorf("again %v", got)
	}
}
