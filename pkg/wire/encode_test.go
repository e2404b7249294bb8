package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire"
)

func TestFillsAnAdvertToItsBounds(t *testing.T) {
	plain, adjusted := conns(60, 0), conns(60, ipvs.FlagInSeq)
	for _, tt := range []struct {
		name   string
		list   []ipvs.Conn
		flags  uint16
		fit    int
		octets int
	}{
		{"50 plain entries, 1208 bytes", plain, 0, 50, 1208},
		{"25 entries with sequence options, 1208 bytes", adjusted, 0x0400, 25, 1208},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var e wire.Encoder
			if err := e.Reset(nil, 9); err != nil {
				t.Fatal(err)
			}
			for i := range tt.fit {
				if e.Full() {
					t.Fatalf("full after %d", i)
				}
				if err := e.Append(&tt.list[i]); err != nil {
					t.Fatalf("connection %d: %v", i, err)
				}
			}
			if !e.Full() || e.Count() != tt.fit {
				t.Errorf("full %v with %d connections, want true with %d", e.Full(), e.Count(), tt.fit)
			}
			if err := e.Append(&tt.list[tt.fit]); !errors.Is(err, wire.ErrFull) {
				t.Errorf("one more: %v, want %v", err, wire.ErrFull)
			}
			got := e.Finish()
			if len(got) != tt.octets {
				t.Errorf("%d bytes, want %d", len(got), tt.octets)
			}
			if want := layOut(tt.fit, tt.flags, 9); !bytes.Equal(got, want) {
				t.Errorf("got\n%x, want\n%x", got, want)
			}
		})
	}
}

func TestAPlainEntryStillFitsWhereOptionsDoNot(t *testing.T) {
	var e wire.Encoder
	if err := e.Reset(nil, 1); err != nil {
		t.Fatal(err)
	}
	plain, adjusted := conns(2, 0), conns(25, ipvs.FlagOutSeq)
	for i := range 24 {
		if err := e.Append(&adjusted[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Append(&plain[0]); err != nil {
		t.Fatal(err)
	}
	if err := e.Append(&adjusted[24]); !errors.Is(err, wire.ErrFull) {
		t.Errorf("48 bytes into 24: %v, want %v", err, wire.ErrFull)
	}
	if e.Full() {
		t.Error("full, but a plain entry fits")
	}
	if err := e.Append(&plain[1]); err != nil {
		t.Errorf("a plain entry: %v", err)
	}
	if advert := e.Finish(); len(advert) != wire.MaxSize || !e.Full() {
		t.Errorf("%d bytes, full %v", len(advert), e.Full())
	}
}

func TestRefusesWhatVersion1CannotCarry(t *testing.T) {
	v6 := netip.MustParseAddrPort("[2001:db8::1]:80")
	for _, tt := range []struct {
		name   string
		change func(*ipvs.Conn)
		want   error
	}{
		{"IPv6 client and virtual", func(c *ipvs.Conn) { c.Client, c.Virtual = v6, v6 }, wire.ErrIPv6},
		{"IPv6 real server", func(c *ipvs.Conn) { c.Dest = v6 }, wire.ErrIPv6},
		{"IPv4 mapped into IPv6", func(c *ipvs.Conn) { c.Client = addr("[::ffff:192.0.2.1]:1") }, wire.ErrIPv6},
		{"no address", func(c *ipvs.Conn) { c.Virtual = netip.AddrPort{} }, wire.ErrIPv6},
		{"template of a firewall mark service", func(c *ipvs.Conn) {
			c.Protocol, c.Flags, c.Fwmark, c.Virtual = ipvs.IP, ipvs.FlagTemplate, 5, addr("0.0.0.5:0")
		}, wire.ErrFwmarkTemplate},
		{"template of a persistence engine", func(c *ipvs.Conn) {
			c.Flags, c.PEName, c.PEData = ipvs.FlagTemplate, "sip", []byte("id")
		}, wire.ErrPersistenceEngine},
		{"one packet", func(c *ipvs.Conn) { c.Flags = ipvs.FlagOnePacket }, wire.ErrOnePacket},
		{"one packet, full advert or not", func(c *ipvs.Conn) { c.Flags = ipvs.FlagOnePacket | ipvs.FlagInSeq }, wire.ErrOnePacket},
	} {
		t.Run(tt.name, func(t *testing.T) {
			list := conns(2, 0)
			before := encode(t, 3, list[:1])
			var e wire.Encoder
			if err := e.Reset(nil, 3); err != nil {
				t.Fatal(err)
			}
			if err := e.Append(&list[0]); err != nil {
				t.Fatal(err)
			}
			tt.change(&list[1])
			if err := e.Append(&list[1]); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
			if got := e.Finish(); !bytes.Equal(got, before) {
				t.Errorf("the advert changed:\n%x, want\n%x", got, before)
			}
		})
	}
}

func TestSendsOnlyTheFlagsOfVersion1(t *testing.T) {
	list := conns(1, ipvs.FlagHashed|ipvs.FlagNFCT|ipvs.Flags(0x8000_0000)|ipvs.FlagInactive|ipvs.Flags(ipvs.Tunnel))
	if got, want := encode(t, 1, list), layOut(1, 0x0102, 1); !bytes.Equal(got, want) {
		t.Errorf("got\n%x, want\n%x", got, want)
	}
}

func TestSendsAMarkedConnectionWithoutItsMark(t *testing.T) {
	list := conns(1, 0)
	list[0].Fwmark = 99
	if got, want := encode(t, 1, list), layOut(1, 0, 1); !bytes.Equal(got, want) {
		t.Errorf("got\n%x, want\n%x", got, want)
	}
}

func TestEncoderRefusesSyncID0(t *testing.T) {
	var e wire.Encoder
	if err := e.Reset(nil, 0); !errors.Is(err, wire.ErrSyncID) {
		t.Errorf("got %v, want %v", err, wire.ErrSyncID)
	}
}

func TestAnAdvertWithoutConnectionsIsNothingToSend(t *testing.T) {
	var e wire.Encoder
	if got := e.Finish(); got != nil {
		t.Errorf("before Reset: %x", got)
	}
	if err := e.Reset(nil, 1); err != nil {
		t.Fatal(err)
	}
	if got := e.Finish(); got != nil {
		t.Errorf("after Reset: %x", got)
	}
}

func TestEncoderBeforeResetIsFull(t *testing.T) {
	var e wire.Encoder
	if err := e.Append(&conns(1, 0)[0]); !errors.Is(err, wire.ErrFull) {
		t.Errorf("got %v, want %v", err, wire.ErrFull)
	}
}

func TestReusesADirtyBufferWithoutAllocation(t *testing.T) {
	buf := bytes.Repeat([]byte{0xaa}, wire.MaxSize)
	list := conns(25, ipvs.FlagInSeq)
	var e wire.Encoder
	var got []byte
	if n := testing.AllocsPerRun(100, func() {
		if err := e.Reset(buf, 9); err != nil {
			t.Fatal(err)
		}
		for i := range list {
			if err := e.Append(&list[i]); err != nil {
				t.Fatal(err)
			}
		}
		got = e.Finish()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if want := layOut(25, 0x0400, 9); !bytes.Equal(got, want) {
		t.Errorf("got\n%x, want\n%x", got, want)
	}
	if &got[0] != &buf[0] {
		t.Error("the buffer was not used")
	}
}

func TestFinishMayBeFollowedByFurtherConnections(t *testing.T) {
	list := conns(2, 0)
	var e wire.Encoder
	if err := e.Reset(nil, 9); err != nil {
		t.Fatal(err)
	}
	for i := range list {
		if err := e.Append(&list[i]); err != nil {
			t.Fatal(err)
		}
		if got, want := e.Finish(), layOut(i+1, 0, 9); !bytes.Equal(got, want) {
			t.Errorf("with %d: got\n%x, want\n%x", i+1, got, want)
		}
	}
}

func TestAPlainConnectionIsEncodedAsAny(t *testing.T) {
	list := conns(51, ipvs.FlagHashed|ipvs.FlagNFCT|ipvs.FlagInactive)
	var whole, plain wire.Encoder
	for _, e := range []*wire.Encoder{&whole, &plain} {
		if err := e.Reset(nil, 3); err != nil {
			t.Fatal(err)
		}
	}
	for i := range list {
		c := plainOf(&list[i])
		want, got := whole.Append(&list[i]), plain.AppendPlain(&c)
		if got != want {
			t.Errorf("connection %d: %v, want %v", i, got, want)
		}
	}
	if got, want := plain.Finish(), whole.Finish(); !bytes.Equal(got, want) {
		t.Errorf("got\n%x, want\n%x", got, want)
	}
	for _, tt := range []struct {
		name   string
		change func(*ipvs.Plain)
		want   error
	}{
		{"one packet scheduling", func(c *ipvs.Plain) { c.Flags |= ipvs.FlagOnePacket }, wire.ErrOnePacket},
		{"fwmark template", func(c *ipvs.Plain) { c.Protocol = ipvs.IP }, wire.ErrFwmarkTemplate},
	} {
		c := plainOf(&list[0])
		tt.change(&c)
		if err := plain.AppendPlain(&c); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestAPlainConnectionClaimsNoOptions(t *testing.T) {
	c := plainOf(&conns(1, 0)[0])
	c.Flags |= ipvs.FlagSeqMask
	var e wire.Encoder
	if err := e.Reset(nil, 3); err != nil {
		t.Fatal(err)
	}
	if err := e.AppendPlain(&c); err != nil {
		t.Fatal(err)
	}
	if got, want := e.Finish(), layOut(1, 0, 3); !bytes.Equal(got, want) {
		t.Errorf("got\n%x, want\n%x", got, want)
	}
}

func plainOf(c *ipvs.Conn) ipvs.Plain {
	p := ipvs.Plain{
		Client: c.Client.Addr().As4(), Virtual: c.Virtual.Addr().As4(), Dest: c.Dest.Addr().As4(),
		Protocol: c.Protocol, State: c.State, Flags: c.Flags,
	}
	for i, port := range []uint16{c.Client.Port(), c.Virtual.Port(), c.Dest.Port()} {
		binary.BigEndian.PutUint16(p.Ports[2*i:], port)
	}
	return p
}
