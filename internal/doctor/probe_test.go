package doctor

import (
	"context"
	"errors"
	"net/netip"
	"os/exec"
	"strings"
	"testing"

	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/netnstest"
)

// The kernel is the judge of what rules do; what is read of them is to come to
// the same where it claims to know.
func TestRulesAreReadAsTheKernelTakesThem(t *testing.T) {
	group := config.Link{Interface: "eth1", Group: netip.MustParseAddr("224.0.0.81")}
	udp := group
	udp.UDPPort = 7114
	group6 := config.Link{Interface: "eth1", Group: netip.MustParseAddr("ff12::81")}
	input := func(rules string) string {
		return "table inet filter { chain input { type filter hook input priority 0; policy drop; " + rules + "; }; }"
	}
	for _, tt := range []struct {
		name  string
		rules string
		link  config.Link
		err   error // of the probe
		drop  truth // of the reading
		where string
	}{
		{"no rules", "", group, nil, no, ""},
		{"no rules, UDP", "", udp, nil, no, ""},
		{"no rules, IPv6", "", group6, nil, no, ""},
		{"a policy", input("tcp dport 22 accept"), group, errNotHeard, yes, "chain inet filter input, by its policy"},
		{"a policy, IPv6", input("tcp dport 22 accept"), group6, errNotHeard, yes, "chain inet filter input, by its policy"},
		{"a policy, and our protocol", input("meta l4proto 114 accept"), group, nil, no, ""},
		{"a policy, and our protocol by its header", input("ip protocol 114 ip daddr 224.0.0.0/24 accept"), group, nil, no, ""},
		{"a policy, and another protocol", input("meta l4proto { 112, 113 } accept"), group, errNotHeard, yes, "policy"},
		{"a policy, and a set with our protocol", input("meta l4proto { 112, 114 } accept"), group, nil, no, ""},
		{"a policy, and what is established", input("ct state established,related accept"), group, errNotHeard, yes, "policy"},
		{"a policy, and what is new", input("ct state vmap { established : accept, new : accept, invalid : drop }"), group, nil, no, ""},
		{"a policy, and the interface", input(`iifname "eth*" accept`), group, nil, no, ""},
		{"a policy, and another interface", input(`iifname "eth0" accept`), group, errNotHeard, yes, "policy"},
		{"a policy, and all but another interface", input(`iifname != "eth0" accept`), group, nil, no, ""},
		{"a policy, and our network", input("ip saddr 10.0.3.0/24 accept"), group, nil, no, ""},
		{"a policy, and a range of addresses", input("ip saddr 10.0.3.1-10.0.3.20 accept"), group, nil, no, ""},
		{"a policy, and our port", input("udp dport 7000-7200 accept"), udp, nil, no, ""},
		{"a policy, and our port, in the protocol itself", input("udp dport != 53 accept"), group, errNotHeard, yes, "policy"},
		{"a policy, and another port", input("udp dport { 53, 123 } accept"), udp, errNotHeard, yes, "policy"},
		{"a named set", "table inet filter { set ours { type inet_proto; elements = { 114 }; }; chain input { type filter hook input priority 0; policy drop; meta l4proto @ours accept; }; }",
			group, nil, no, ""},
		{"another chain", "table inet filter { chain ours { meta l4proto 114 accept; }; chain input { type filter hook input priority 0; policy drop; jump ours; }; }", group, nil, no, ""},
		{"a chain that returns", "table inet filter { chain ours { meta l4proto 114 return; accept; }; chain input { type filter hook input priority 0; policy drop; jump ours; }; }",
			group, errNotHeard, yes, "policy"},
		{"a rule that drops", "table ip filter { chain input { type filter hook input priority 0; counter; ip protocol 114 counter drop; }; }", group, errNotHeard, yes, "chain ip filter input, rule with handle"},
		{"early", "table inet raw { chain prerouting { type filter hook prerouting priority raw; meta pkttype multicast drop; }; }", group, errNotHeard, yes, "chain inet raw prerouting, rule"},
		{"rules of the other family", "table ip6 filter { chain input { type filter hook input priority 0; policy drop; }; }", group, nil, no, ""},
		{"a rule that is not understood", input("meta l4proto 114 limit rate 1000/second accept"), group, nil, maybe, "policy"},
		{"a rule that may drop", "table inet filter { chain input { type filter hook input priority 0; ip length > 9000 drop; }; }", group, nil, maybe, "rule with handle"},
		{"on the way out", "table inet filter { chain output { type filter hook output priority 0; oifname eth1 ip daddr 224.0.0.81 drop; }; }", group, errSendDropped, yes, "chain inet filter output"},
		{"on the way out, rejected", "table inet filter { chain output { type filter hook output priority 0; udp dport 7114 reject; }; }", udp, errSendDropped, yes, "chain inet filter output"},
		{"on the way out, elsewhere", "table inet filter { chain output { type filter hook output priority 0; oifname eth0 drop; }; }", group, nil, no, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			here, there := netnstest.New(t), netnstest.New(t)
			here.Set(t, "ipv6/conf/default/accept_dad", "0")
			netnstest.Pair(t, here, "eth1", "10.0.3.11/24", there, "eth1", "10.0.3.12/24")
			nft := exec.Command("ip", "netns", "exec", here.Name, "nft", "-f", "-")
			nft.Stdin = strings.NewReader(tt.rules)
			if out, err := nft.CombinedOutput(); err != nil {
				if strings.Contains(string(out), "syntax error") {
					t.Fatalf("%s", out)
				}
				t.Skipf("rules of nftables cannot be made here: %v: %s", err, out)
			}
			listed, err := exec.Command("ip", "netns", "exec", here.Name, "nft", "-j", "-n", "list", "ruleset").Output()
			if err != nil {
				t.Skip("this nft has no JSON: ", err)
			}
			rules, err := parseRuleset(listed)
			if err != nil {
				t.Fatal(err)
			}
			var on Interface
			here.Do(t, func() {
				for _, i := range interfaces() {
					if i.Name == "eth1" {
						on = i
					}
				}
				err = probe(context.Background(), tt.link, on, true)
			})
			if !errors.Is(err, tt.err) {
				t.Errorf("probe: %v, want %v", err, tt.err)
			}
			from := netip.MustParseAddr("10.0.3.11")
			if tt.link.Group.Is6() {
				from = netip.MustParseAddr("fe80::11")
			}
			p := packet{on: "eth1", source: from, dest: tt.link.Group, protocol: 114, port: tt.link.UDPPort}
			in := rules.judge(p)
			p.outgoing = true
			f := rules.judge(p)
			if in.drop > f.drop {
				f = in
			}
			if f.drop != tt.drop || !strings.Contains(f.where, tt.where) {
				t.Errorf("the rules are read as %+v, want %v and %q in it\n%s", f, tt.drop, tt.where, listed)
			}
		})
	}
}

func TestSendingAloneIsHeardByNobody(t *testing.T) {
	here, there := netnstest.New(t), netnstest.New(t)
	netnstest.Pair(t, here, "eth1", "10.0.3.11/24", there, "eth1", "10.0.3.12/24")
	link := config.Link{Interface: "eth1", Group: netip.MustParseAddr("224.0.0.81")}
	datagrams := func(ns *netnstest.Namespace) (text string) {
		ns.Do(t, func() {
			out, err := systemFiles{}.ReadFile("/proc/thread-self/net/netstat")
			if err != nil {
				t.Error(err)
			}
			text = string(out)
		})
		return inMulticast(text)
	}
	var err error
	here.Do(t, func() {
		for _, i := range interfaces() {
			if i.Name == "eth1" {
				err = probe(context.Background(), link, i, false)
			}
		}
	})
	if err != nil {
		t.Error(err)
	}
	for _, ns := range []*netnstest.Namespace{here, there} {
		if n := datagrams(ns); n != "0" {
			t.Errorf("%s received %s multicast packets", ns.Name, n)
		}
	}
}

// inMulticast returns InMcastPkts of /proc/net/netstat.
func inMulticast(text string) string {
	var names []string
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) == 0 || fields[0] != "IpExt:" {
			continue
		}
		if names == nil {
			names = fields
			continue
		}
		for i, name := range names {
			if name == "InMcastPkts" {
				return fields[i]
			}
		}
	}
	return ""
}
