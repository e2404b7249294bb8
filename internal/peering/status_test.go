package peering

import (
	"testing"
	"time"
)

func TestPeersKnowADirectorAsItKnowsItself(t *testing.T) {
	w := newWorld(t, 1, 2)
	w.startAll()
	w.run(12*time.Second, w.synced)
	w.run(2 * time.Second) // the next heartbeat says so
	a, b := w.hosts[0].node.Status(), w.hosts[1].node.Status()
	if a.Self == b.Self || a.Name == b.Name {
		t.Errorf("%v %s and %v %s", a.Self, a.Name, b.Self, b.Name)
	}
	for _, tt := range []struct{ self, other Status }{{a, b}, {b, a}} {
		if len(tt.other.Peers) != 1 {
			t.Fatalf("peers: %+v", tt.other.Peers)
		}
		p := tt.other.Peers[0]
		if p.Peer != tt.self.Self || p.Name != tt.self.Name || p.State != tt.self.State || p.Last != tt.self.Sequence {
			t.Errorf("%+v is seen as %+v", tt.self, p)
		}
	}
}
