package guest

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/ctentry"
	ipvsentry "github.com/ssyncp/ssyncp/pkg/wire/entry"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// A wiretap hears what directors tell each other, on the sync link of one that
// takes no part.
type wiretap struct {
	mu      sync.Mutex
	heard   []heard
	entries []heardEntry
}

// heard is a connection in an advert.
type heard struct {
	at   time.Time
	from netip.Addr // the director's address on the sync link
	conn ipvs.Conn
}

// heardEntry is a conntrack entry in an advert.
type heardEntry struct {
	from  netip.Addr
	entry conntrack.Entry
}

var group = netip.MustParseAddr("224.0.0.81")

// tap listens until the end of the test. A message that is not valid fails it.
func tap(t testing.TB, d *director.Director) *wiretap {
	t.Helper()
	var conn net.PacketConn
	err := d.Do(func() error {
		link, err := net.InterfaceByName(director.SyncLink)
		if err != nil {
			return err
		}
		if conn, err = net.ListenPacket("ip4:114", "0.0.0.0"); err != nil {
			return err
		}
		raw, err := conn.(*net.IPConn).SyscallConn()
		if err != nil {
			return err
		}
		var failed error
		err = raw.Control(func(fd uintptr) {
			failed = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 16<<20)
		})
		return errors.Join(err, failed,
			ipv4.NewPacketConn(conn).JoinGroup(link, &net.IPAddr{IP: group.AsSlice()}))
	})
	if err != nil {
		t.Fatal(err)
	}
	w := &wiretap{}
	var listening sync.WaitGroup
	listening.Go(func() { w.listen(t, conn) })
	t.Cleanup(func() {
		conn.Close()
		listening.Wait()
	})
	return w
}

func (w *wiretap) listen(t testing.TB, conn net.PacketConn) {
	opener, err := frame.NewOpener(7, director.Key())
	if err != nil {
		t.Error(err)
		return
	}
	message := make([]byte, frame.MaxSize)
	var decoder ipvsentry.Decoder
	var entries ctentry.Decoder
	for {
		n, from, err := conn.ReadFrom(message)
		if err != nil {
			return
		}
		at := time.Now()
		body, err := opener.Open(message[:n])
		var parsed block.Body
		if err == nil {
			parsed, err = block.Parse(body)
		}
		if err == nil {
			err = errors.Join(decoder.Reset(parsed.Blocks()), entries.Reset(parsed.Blocks()))
		}
		if err != nil {
			t.Errorf("frame of %v: %v", from, err)
			continue
		}
		sender, _ := netip.AddrFromSlice(from.(*net.IPAddr).IP.To4())
		w.mu.Lock()
		for {
			h := heard{at: at, from: sender}
			if !decoder.Next(&h.conn) {
				break
			}
			w.heard = append(w.heard, h)
		}
		for h := (heardEntry{from: sender}); entries.Next(&h.entry); {
			w.entries = append(w.entries, h)
		}
		w.mu.Unlock()
	}
}

// since returns what was heard after the first n connections.
func (w *wiretap) since(n int) []heard {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]heard(nil), w.heard[n:]...)
}
