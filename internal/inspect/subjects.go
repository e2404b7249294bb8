package inspect

import (
	"hash/maphash"
	"time"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/ctentry"
	"github.com/ssyncp/ssyncp/pkg/wire/entry"
)

// connections are IPVS's.
func (i *Inspector) connections() *subject[ipvs.Conn, ipvs.Shown] {
	return &subject[ipvs.Conn, ipvs.Shown]{
		class: block.ClassIPVS, all: i.Table.All, told: i.Table.Told,
		decode: func(blocks block.Blocks, take func(*ipvs.Conn) error) (err error) {
			var d entry.Decoder
			if err = d.Reset(blocks); err != nil {
				return err
			}
			for c := (ipvs.Conn{}); err == nil && d.Next(&c); {
				err = take(&c)
			}
			return err
		},
		key:     func(seed maphash.Seed, c *ipvs.Conn) uint64 { return maphash.Comparable(seed, c.Key()) },
		summary: summaryOfConn,
		shown:   (*ipvs.Conn).Shown,
		sorted:  func(s *ipvs.Shown) []string { return []string{s.Virtual + " " + s.Protocol + " " + s.Client} },
	}
}

// compared are the flags that a director takes over from a peer as they are: the
// forwarding method, and whether answers pass, are those of its own real server,
// and being inactive follows from the state.
const compared = ipvs.FlagBackupMask &^ (ipvs.FlagInactive | ipvs.FlagMethodMask | ipvs.FlagNoOutput)

func summaryOfConn(seed maphash.Seed, c *ipvs.Conn) summary {
	return summary{
		class: block.ClassIPVS, until: c.Remaining(), timeout: c.Timeout, dest: maphash.Comparable(seed, c.Dest),
		flags: uint32(c.Flags & compared), state: uint16(c.State), passing: passing(c),
	}
}

// passing reports whether it is no loss if one of two directors lacks a
// connection, and may be so for good: nobody answered yet, or both sides are done,
// and it may never have been told.
func passing(c *ipvs.Conn) bool {
	if c.Template() {
		return false
	}
	switch c.Protocol {
	case ipvs.TCP:
		switch c.State {
		case ipvs.TCPNone, ipvs.TCPSynSent, ipvs.TCPSynRecv, ipvs.TCPSynAck, ipvs.TCPTimeWait, ipvs.TCPClose, ipvs.TCPLastAck:
			return true
		}
	case ipvs.SCTP:
		return c.State < ipvs.SCTPEstablished || c.State >= ipvs.SCTPShutdownAckSent
	}
	return false
}

// entries are conntrack's.
func (i *Inspector) entries() *subject[conntrack.Entry, conntrack.Shown] {
	return &subject[conntrack.Entry, conntrack.Shown]{
		class: block.ClassConntrack, all: i.Tracked.All, told: i.Tracked.Told,
		decode: func(blocks block.Blocks, take func(*conntrack.Entry) error) (err error) {
			var d ctentry.Decoder
			if err = d.Reset(blocks); err != nil {
				return err
			}
			for e := (conntrack.Entry{}); err == nil && d.Next(&e); {
				err = take(&e)
			}
			return err
		},
		key:     func(seed maphash.Seed, e *conntrack.Entry) uint64 { return maphash.Comparable(seed, e.Key()) },
		summary: summaryOfEntry,
		shown:   (*conntrack.Entry).Shown,
		sorted: func(s *conntrack.Shown) []string {
			return []string{s.Original.Destination, s.Protocol, s.Original.Source}
		},
	}
}

// comparedStatus are the flags that a copy takes over from its owner.
const comparedStatus = conntrack.SeenReply | conntrack.Assured | conntrack.SourceNAT | conntrack.DestNAT

func summaryOfEntry(seed maphash.Seed, e *conntrack.Entry) summary {
	return summary{
		class: block.ClassConntrack, until: e.Remaining(), timeout: e.Timeout, dest: maphash.Comparable(seed, e.Reply),
		flags: uint32(e.Status & comparedStatus), mark: e.Mark, state: uint16(e.State), passing: passingEntry(e),
	}
}

// expiring is what an entry has left that one of two directors may have lost
// already: the kernel counts in seconds, and each rounds.
const expiring = 2 * time.Second

// passingEntry reports whether it is no loss if one of two directors lacks an
// entry: one that is closing may never have been told, and one that ends just
// now may have ended there.
func passingEntry(e *conntrack.Entry) bool {
	return conntrack.Opening(e.Protocol, e.State) || conntrack.Closing(e.Protocol, e.State) || e.Remaining() <= expiring
}
