package daemon_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/ssyncp/ssyncp/internal/wiresharktest"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

func TestWiresharkReadsWhatDirectorsSay(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	var frames []overheard
	for _, from := range []netip.Addr{victimIP, peerIP} {
		frames = append(frames, s.tap.overheard(from, 0)...)
	}
	var packets [][]byte
	for _, o := range frames {
		packets = append(packets, o.packet)
	}
	seen := map[block.Type]bool{}
	conns := 0
	for i, got := range wiresharktest.Dissect(t, packets, s.keyFile) {
		o := frames[i]
		var types []string
		for _, b := range o.types {
			types = append(types, fmt.Sprintf("0x%02x", uint8(b)))
			seen[b] = true
		}
		for name, want := range map[string][]string{
			"sender":       {fmt.Sprint(o.body.Sender)},
			"frame_number": {fmt.Sprint(o.body.Number)},
			"block.type":   types,
			"key_file":     {s.keyFile},
		} {
			if got := got[wiresharktest.Prefix+name]; !slices.Equal(got, want) {
				t.Errorf("frame %d of %v: %s: got %q, want %q", o.body.Number, o.from, name, got, want)
			}
		}
		if experts := got.Experts(); len(experts) > 0 {
			t.Errorf("frame %d of %v: finds fault: %v", o.body.Number, o.from, experts)
		}
		conns += len(got[wiresharktest.Prefix+"ipvs.caddr"])
	}
	for _, b := range []block.Type{block.TypeAdvert, block.TypeHeartbeat, block.TypeEcho, block.TypeNack, block.TypeSnapshotChunk, block.TypeSnapshotAck} {
		if !seen[b] {
			t.Errorf("no %v was heard", b)
		}
	}
	if conns < victimOwns+100 {
		t.Errorf("%d connections were read, at least %d were told", conns, victimOwns+100)
	}
}
