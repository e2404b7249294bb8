package ipvsclass_test

import (
	"net/netip"
	"slices"
	"testing"

	"github.com/ssyncp/ssyncp/internal/cluster"
	"github.com/ssyncp/ssyncp/internal/ipvsclass"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice/ipvsdevicetest"
	"github.com/ssyncp/ssyncp/pkg/chardev/chardevtest"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

func TestFilter(t *testing.T) {
	const (
		web = iota
		closing
		dns
		call // SCTP
		ipv6
		marked
		webTemplate
		wideTemplate // of every port
		markedTemplate
		kinds
	)
	list := ipvsdevicetest.Conns(kinds)
	list[closing].State = ipvs.TCPFinWait
	list[dns].Protocol, list[dns].State = ipvs.UDP, ipvs.UDPNormal
	list[dns].Virtual = netip.MustParseAddrPort("192.0.2.1:53")
	list[call].Protocol, list[call].State = ipvs.SCTP, ipvs.SCTPEstablished
	list[call].Virtual = netip.MustParseAddrPort("192.0.2.2:5060")
	list[ipv6].Client = netip.AddrPortFrom(netip.MustParseAddr("2001:db8::1"), list[ipv6].Client.Port())
	list[ipv6].Virtual = netip.MustParseAddrPort("[2001:db8::2]:80")
	list[marked].Virtual, list[marked].Fwmark = netip.MustParseAddrPort("192.0.2.3:443"), 9
	list[webTemplate].Flags, list[webTemplate].State = ipvs.FlagTemplate, ipvs.TemplateAssured
	list[wideTemplate].Flags, list[wideTemplate].Virtual = ipvs.FlagTemplate, netip.MustParseAddrPort("192.0.2.1:0")
	list[markedTemplate].Flags, list[markedTemplate].Protocol = ipvs.FlagTemplate, ipvs.IP
	list[markedTemplate].Virtual, list[markedTemplate].Fwmark = netip.MustParseAddrPort("0.0.0.9:0"), 9

	service := func(s string) ipvsclass.Service { return ipvsclass.Service{Virtual: netip.MustParseAddrPort(s)} }
	templates := []int{webTemplate, wideTemplate, markedTemplate}
	with := func(passed ...int) []int { return append(passed, templates...) }
	for _, tt := range []struct {
		name   string
		filter ipvsclass.Filter
		want   []int
	}{
		{"none", ipvsclass.Filter{}, with(web, closing, dns, call, ipv6, marked)},
		{"a protocol", ipvsclass.Filter{Protocols: []ipvs.Protocol{ipvs.UDP}}, with(dns)},
		{"protocols", ipvsclass.Filter{Protocols: []ipvs.Protocol{ipvs.UDP, ipvs.SCTP}}, with(dns, call)},
		{"a state", ipvsclass.Filter{States: []string{"ESTABLISHED"}}, with(web, call, ipv6, marked)},
		{"states of several protocols", ipvsclass.Filter{States: []string{"UDP", "FIN_WAIT"}}, with(closing, dns)},
		{"templates only", ipvsclass.Filter{TemplatesOnly: true}, templates},
		{"a service", ipvsclass.Filter{Services: []ipvsclass.Service{service("192.0.2.1:80")}}, []int{web, closing, webTemplate, wideTemplate}},
		{"a service of IPv6", ipvsclass.Filter{Services: []ipvsclass.Service{service("[2001:db8::2]:80")}}, []int{ipv6}},
		{"services", ipvsclass.Filter{Services: []ipvsclass.Service{service("192.0.2.1:53"), service("192.0.2.2:5060")}}, []int{dns, call, wideTemplate}},
		{"an address", ipvsclass.Filter{Services: []ipvsclass.Service{service("192.0.2.1:0")}}, []int{web, closing, dns, webTemplate, wideTemplate}},
		{"a mark", ipvsclass.Filter{Services: []ipvsclass.Service{{Fwmark: 9}}}, []int{marked, markedTemplate}},
		{"a service that there is not", ipvsclass.Filter{Services: []ipvsclass.Service{service("192.0.2.9:80")}}, nil},
		{
			"all at once", ipvsclass.Filter{
				Protocols: []ipvs.Protocol{ipvs.TCP},
				States:    []string{"ESTABLISHED"},
				Services:  []ipvsclass.Service{service("192.0.2.1:0")},
			}, []int{web, webTemplate, wideTemplate},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var module chardevtest.Module
			o := options(&module)
			o.Filter = tt.filter
			objects := openObjects(t, o)
			var want []ipvs.Conn
			for _, i := range tt.want {
				want = append(want, list[i])
			}
			module.Queue(list...)
			out := cluster.NewOutbox(room)
			if r, err := objects.News(out); err != nil || r.Entries != kinds {
				t.Fatalf("News: %+v, %v", r, err)
			}
			if got := ports(taken(t, out)); !slices.Equal(got, ports(want)) {
				t.Errorf("news of %v, want %v", got, ports(want))
			}
			module.SetTable(list...)
			if got := ports(all(t, begin(t, objects, cluster.All), room)); !slices.Equal(got, ports(want)) {
				t.Errorf("a walk over %v, want %v", got, ports(want))
			}
			if n := o.Counters.Counts.Value(ipvsclass.Filtered); n != 2*uint64(kinds-len(want)) {
				t.Errorf("%d counted", n)
			}
		})
	}
}

func TestAWalkThatAFilterLetsLittlePassEndsAllTheSame(t *testing.T) {
	var module chardevtest.Module
	list := ipvsdevicetest.Conns(60000)
	list[len(list)-1].State = ipvs.TCPFinWait
	module.SetTable(list...)
	o := options(&module)
	o.Filter.States = []string{"FIN_WAIT"}
	objects := openObjects(t, o)
	walk := begin(t, objects, cluster.All)
	reads := 0
	var got []ipvs.Conn
	for more := true; more; reads++ {
		var part []ipvs.Conn
		part, more = read(t, walk, room)
		got = append(got, part...)
	}
	if !slices.Equal(ports(got), ports(list[len(list)-1:])) {
		t.Errorf("%d connections", len(got))
	}
	// Of 21 batches, one Read does not take the time of all.
	if reads < 4 {
		t.Errorf("%d reads", reads)
	}
}
