package guest

import (
	"net/netip"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
	"github.com/ssyncp/ssyncp/lab/traffic"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// invalidPort is what IPVS writes over the port of a template that it wants
// never to find again.
const invalidPort = 0xffff

// A template whose real server was given weight 0 is replaced, but lives on for
// as long as its connections. Nobody is told of it: a peer would take it for
// news of the client's new template.
func TestInvalidTemplate(t *testing.T) {
	director.LoadModule(t)
	lab := topology.New(t, 1, 2)
	a := lab.Directors[0]
	service := lab.AddService(t, director.Service{Method: director.NAT, Persistence: 5 * time.Minute}, 82)
	serve(t, lab, "tcp", 82)
	a.Set(t, "expire_quiescent_template", "1")
	a.Set(t, "sync_refresh_period", "1")
	client := traffic.Client{Namespace: lab.Client}
	device := capture(t, a)

	before := open(t, client, service)
	var old netip.AddrPort
	for _, c := range readNews(t, device) {
		if c.Template() {
			old = c.Dest
		}
	}
	if !old.IsValid() {
		t.Fatal("the template is not told")
	}
	a.IPVSAdm(t, "-e", "-t", service.String(), "-r", old.String(), "-m", "-w", "0")
	after := open(t, client, service)
	var fresh []ipvs.Conn
	for _, c := range readNews(t, device) {
		if c.Template() {
			fresh = append(fresh, c)
		}
	}
	if len(fresh) != 1 || fresh[0].Dest == old {
		t.Fatalf("told %v, want one template, of another real server than %v", fresh, old)
	}

	time.Sleep(1100 * time.Millisecond) // time to refresh
	exchange(t, before)
	exchange(t, after)
	told := append(readNews(t, device), snapshot(t, a, true)...)
	connections := 0
	for _, c := range told {
		switch {
		case !c.Template():
			connections++
		case c.Dest.Port() == invalidPort || c.Virtual.Port() == invalidPort || c.Dest == old:
			t.Errorf("told %v", &c)
		}
	}
	if connections < 4 {
		t.Errorf("told %v, want both connections, as news and in the snapshot", told)
	}
}

// What a peer says of such a template is not taken.
func TestInjectInvalidTemplate(t *testing.T) {
	in := newInjection(t)
	template := in.template()
	template.Dest = netip.AddrPortFrom(template.Dest.Addr(), invalidPort)
	if refused := inject(t, in.device, template); refused[0] != chardev.RefusedFlags || len(refused) != 1 {
		t.Errorf("refused %v, want flags", refused)
	}
}

// A client uses its port again, for a session that has nothing to adjust: what
// the session before had is not left.
func TestInjectForgetsSequences(t *testing.T) {
	in := newInjection(t)
	in.lab.AddService(t, director.Service{Method: director.NAT}, 21)
	session := in.established(21, ipvs.Masquerade)
	session.Flags |= ipvs.FlagOutSeq
	session.Out = ipvs.Sequence{Init: 1000, Delta: 7}
	injectOne(t, in.device, session)
	if got := in.mustKnow(t, session.Key()); got.Out != session.Out {
		t.Fatalf("holds %+v, want %+v", got.Out, session.Out)
	}
	next := session
	next.Flags &^= ipvs.FlagSeqMask
	next.In, next.Out = ipvs.Sequence{}, ipvs.Sequence{}
	injectOne(t, in.device, next)
	if got := in.mustKnow(t, next.Key()); got.Flags&ipvs.FlagSeqMask != 0 || got.Out != (ipvs.Sequence{}) {
		t.Errorf("still holds %v %+v", got.Flags, got.Out)
	}
}
