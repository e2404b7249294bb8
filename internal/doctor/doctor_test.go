package doctor

import (
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/cluster"
	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/identity"
	"github.com/ssyncp/ssyncp/internal/ipvsnetlink"
	"github.com/ssyncp/ssyncp/internal/keyring"
	"github.com/ssyncp/ssyncp/internal/transport"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

func TestNothingIsFoundWhereAllIsWell(t *testing.T) {
	for _, tt := range []struct {
		name string
		with func(*director)
	}{
		{"two directors", func(*director) {}},
		{"a pair of firewalls without services", func(d *director) {
			d.subject.Config.Conntrack.Enabled = true
			d.text["/proc/net/ip_vs"] = "IP Virtual Server version 1.2.1 (size=4096)\n"
		}},
		{"a passive director that is a real server", func(d *director) {
			d.text["/proc/net/ip_vs"] += "  -> 0A000217:1F40      Route   1      0          0\n  -> C000020B:1F40      Route   1      0          0\n"
			d.set("ipv4/vs/backup_only", "1")
			d.daemons = []SyncDaemon{{Interface: "eth1"}}
		}},
		{"strict rp_filter, and the peer is there where it is heard", func(d *director) { d.set("ipv4/conf/all/rp_filter", "1") }},
		{"unicast in UDP", func(d *director) {
			live := d.status.Membership.Peers
			d.unicast()
			d.status.Membership.Peers = live
			d.status.State = "synced"
		}},
		{"services of IPv6 alone, without forwarding of IPv4", func(d *director) {
			d.text["/proc/net/ip_vs"] = "TCP  [2001:0db8:0000:0000:0000:0000:0000:0080]:1F40 rr \n  -> [2001:0db8:0000:0000:0000:0000:0000:0021]:1F40      Masq    1      0          0\n"
			d.set("ipv4/ip_forward", "0")
		}},
		{"a public address beside the link's own", func(d *director) { d.link().Addresses = append(d.link().Addresses, prefixes("203.0.113.80/32")...) }},
		{"a peer that was started anew", func(d *director) {
			before := peer()
			before.Lost = true
			d.status.Peers = append(d.status.Peers, before)
		}},
		{"a drop-in that allows the link", func(d *director) {
			d.link().Addresses = prefixes("203.0.113.1/24")
			d.unit["IPAddressAllow"] += " 203.0.113.0/24"
		}},
		{"a unit that looks for the networks of the links when it starts", func(d *director) {
			d.stopped()
			d.statusErr = nil
			d.stats.State = chardev.StateCapturing
			d.link().Addresses = prefixes("203.0.113.1/24")
			d.unit["ExecStartPre"] = "{ path=/bin/sh ; argv[]=/bin/sh -c exec systemctl set-property --runtime ssyncpd.service IPAddressAllow=... }"
		}},
		{"nobody has nftables", func(d *director) { d.nftErr = exec.ErrNotFound }},
		{"started by hand, as root", func(d *director) {
			d.unit = nil
			d.text["/proc/4711/status"] = "Uid:\t0\t0\t0\t0\nCapEff:\t000001ffffffffff\n"
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDirector()
			tt.with(d)
			r := d.examine()
			if found := text(r); found != "" {
				t.Errorf("found:\n%s", found)
			}
			if len(r.Results) != len(checks) || r.Failures+r.Warnings != 0 {
				t.Errorf("%d results, %d failures, %d warnings", len(r.Results), r.Failures, r.Warnings)
			}
		})
	}
}

// documentName is how remedies name what to read.
var documentName = regexp.MustCompile(`(?:docs|contrib)/[a-z0-9/.-]+[a-z]|SECURITY\.md`)

func TestEveryFindingHasItsRemedy(t *testing.T) {
	counted := func(group, name string) func(*director) {
		return func(d *director) {
			d.alone()
			d.status.Counters = map[string]map[string]uint64{group: {name: 12}}
		}
	}
	for _, tt := range []struct {
		name     string
		breaks   func(*director)
		check    string
		severity Severity
		what     string // part of it
		remedy   string // part of it
	}{
		{"invalid configuration", func(d *director) { d.subject.Err = errors.New("sync_id: not set") },
			"configuration", Failure, "sync_id: not set", "ssyncpd check-config"},
		{"no authentication", func(d *director) { d.subject.Config.Wire.Auth = config.AuthNone },
			"configuration", Warning, `wire.auth = "none"`, "ssyncpd keygen"},
		{"both versions", func(d *director) { d.subject.Config.Wire.DualUntil = time.Now().Add(time.Hour) },
			"configuration", Warning, "wire.dual_until", "remove wire.dual_until"},
		{"no machine ID", func(d *director) { d.idErr = identity.ErrMachineID }, "configuration", Failure, "machine ID", "systemd-machine-id-setup"},
		{"no name", func(d *director) { d.idErr = identity.ErrName }, "configuration", Failure, "name", "wire.name"},

		{"the unit's user is not there", func(d *director) { d.stopped(); d.text["/etc/passwd"] = "root:x:0:0::/:/bin/sh\n" },
			"user", Failure, "user ssyncp, and there is none", "systemd-sysusers"},
		{"the group is not there", func(d *director) { d.text["/etc/group"] = "root:x:0:\n" }, "user", Failure, "no group ssyncp", "systemd-sysusers"},
		{"the configuration is root's alone", func(d *director) { d.stat[configFile] = FileStat{Mode: 0o600} },
			"user", Failure, "user ssyncp cannot read " + configFile, "chmod 640 " + configFile},
		{"the directory is root's alone", func(d *director) { d.stat["/etc/ssyncp"] = FileStat{Mode: 0o700, Directory: true} },
			"user", Failure, "directory /etc/ssyncp is closed", "chmod 2750 /etc/ssyncp"},
		{"a capability is missing", func(d *director) {
			d.text["/proc/4711/status"] = "Uid:\t998\t998\t998\t998\nCapEff:\t0000000000001000\n"
		},
			"user", Failure, "process 4711) lacks CAP_NET_RAW", "AmbientCapabilities="},
		{"asked by nobody", func(d *director) { d.text["/proc/self/status"] = "CapEff:\t0000000000000000\n" },
			"user", Note, "cannot look at everything", "as root"},

		{"no key", func(d *director) { d.keyErr = fmt.Errorf("key file /k: %w", keyring.ErrAbsent) }, "key", Failure, "no such file", "ssyncpd keygen " + keyFile},
		{"a key for everybody", func(d *director) { d.keyErr = keyring.ErrMode }, "key", Failure, "others have access", "chmod 640 " + keyFile},
		{"a key of somebody", func(d *director) { d.keyErr = keyring.ErrOwner }, "key", Failure, "another user", "chown root " + keyFile},
		{"a key that is unreadable", func(d *director) { d.keyErr = keyring.ErrUnreadable }, "key", Failure, "not readable", "as root"},
		{"a key that is none", func(d *director) { d.keyErr = keyring.ErrFormat }, "key", Failure, "does not hold a key", "copy it anew"},
		{"a key for root alone", func(d *director) { d.stat[keyFile] = FileStat{Mode: 0o600} },
			"key", Failure, "user ssyncp, who ssyncpd runs as, cannot read", "chgrp ssyncp " + keyFile},
		{"one key twice", func(d *director) {
			d.subject.Config.Wire.AcceptedKeyFile = "/etc/ssyncp/key.new"
			d.keys["/etc/ssyncp/key.new"] = d.keys[keyFile]
		}, "key", Failure, "hold the same key", "wire.key_file_accepted"},

		{"a kernel without IPVS", func(d *director) { delete(d.stat, "/proc/net/ip_vs"); d.text["/proc/modules"] = "" },
			"kernel", Failure, "6.1.0-56-amd64 has no IPVS", "CONFIG_IP_VS=m"},
		{"IPVS is built in", func(d *director) { d.text["/proc/modules"] = "" }, "kernel", Failure, "built into Linux", "CONFIG_IP_VS=m"},
		{"IPVS is not loaded", func(d *director) {
			delete(d.stat, "/proc/net/ip_vs")
			d.text["/proc/modules"] = ""
			d.text["/lib/modules/6.1.0-56-amd64/modules.dep"] = "kernel/net/netfilter/ipvs/ip_vs.ko.xz: kernel/lib/libcrc32c.ko\n"
		}, "kernel", Note, "not loaded", "modprobe ssyncp"},

		{"the module is not built", func(d *director) { d.text["/proc/modules"] = "ip_vs 1 0 - Live 0\n" },
			"module", Failure, "there is none for Linux 6.1.0-56-amd64", "dkms autoinstall"},
		{"the module is not loaded", func(d *director) {
			d.text["/proc/modules"] = "ip_vs 1 0 - Live 0\n"
			d.text["/lib/modules/6.1.0-56-amd64/modules.dep"] = "updates/dkms/ssyncp.ko: kernel/net/netfilter/ipvs/ip_vs.ko\n"
		}, "module", Failure, "not loaded", "modprobe ssyncp"},
		{"the module is not loaded, with Secure Boot", func(d *director) {
			d.text["/proc/modules"] = "ip_vs 1 0 - Live 0\n"
			d.text["/lib/modules/6.1.0-56-amd64/modules.dep"] = "updates/dkms/ssyncp.ko:\n"
			d.text["/sys/kernel/security/lockdown"] = "none [integrity] confidentiality\n"
		}, "module", Failure, "not loaded", "mokutil --import"},
		{"an upgraded module", func(d *director) { d.installed = "DEF" }, "module", Note, "another version of the module is installed", "modprobe -r ssyncp"},
		{"unbound copies that end at once", func(d *director) {
			d.text["/sys/module/ssyncp/parameters/accept_unbound"] = "Y\n"
			d.set("ipv4/vs/expire_nodest_conn", "1")
		}, "module", Warning, "expire_nodest_conn=1", "accept_unbound=N"},

		{"no device node", func(d *director) { d.openErr = chardev.ErrNotLoaded }, "device", Failure, "there is no /dev/ssyncp", "udevadm trigger"},
		{"a device that is none", func(d *director) { d.openErr = chardev.ErrNotDevice }, "device", Failure, "not the device", "udevadm trigger"},
		{"no permission", func(d *director) { d.user, d.openErr = 1000, chardev.ErrPermission }, "device", Note, "permission denied", "as root"},
		{"another ABI", func(d *director) { d.stats.ABIVersion = 9 }, "device", Failure, "ABI 9, and this ssyncpd speaks 1", "from one release"},
		{"missing helpers", func(d *director) { d.stats.Missing = chardev.MissingCtInGet | chardev.MissingConnListen },
			"device", Failure, "did not find ct_in_get in ip_vs: templates", "CONFIG_KPROBES=y"},
		{"the other missing helper", func(d *director) { d.stats.Missing = chardev.MissingCtInGet | chardev.MissingConnListen },
			"device", Failure, "did not find conn_listen in ip_vs: FTP", "dmesg | grep ssyncp"},
		{"an unknown missing helper", func(d *director) { d.stats.Missing = 1 << 20 }, "device", Failure, "0x100000", "dmesg"},
		{"a displaced hook", func(d *director) { d.stats.State |= chardev.StateBuried }, "device", Warning, "on top of the hook", "unload it first"},
		{"nobody captures", func(d *director) { d.stats.State = 0 }, "device", Failure, "nobody reads /dev/ssyncp", "journalctl -u ssyncpd"},
		{"somebody else captures", func(d *director) { d.stopped(); d.stats.State = chardev.StateCapturing }, "device", Note, "somebody captures", "fuser -v /dev/ssyncp"},
		{"a device for everybody", func(d *director) { d.stat["/dev/ssyncp"] = FileStat{Mode: 0o666, Device: true} },
			"device", Warning, "its mode is 0666", "chmod 660"},
		{"a device for root alone", func(d *director) { d.stat["/dev/ssyncp"] = FileStat{Mode: 0o600, Device: true} },
			"device", Failure, "user ssyncp, who ssyncpd runs as, may not open /dev/ssyncp", "chgrp ssyncp /dev/ssyncp"},

		{"the in-kernel master", func(d *director) { d.daemons = []SyncDaemon{{Master: true, Interface: "eth1", SyncID: 3}} },
			"in-kernel daemon", Failure, "master runs (eth1, sync ID 3)", "ipvsadm --stop-daemon master"},
		{"the in-kernel master, of which only the module knows", func(d *director) { d.stats.State |= chardev.StateMasterRunning },
			"in-kernel daemon", Failure, "captures nothing", "ipvsadm --stop-daemon master"},
		{"the in-kernel backup", func(d *director) { d.daemons = []SyncDaemon{{Interface: "eth1"}} },
			"in-kernel daemon", Warning, "backup runs", "ipvsadm --stop-daemon backup"},
		{"backup_only for nothing", func(d *director) { d.set("ipv4/vs/backup_only", "1") },
			"in-kernel daemon", Note, "holds only while the in-kernel backup runs", "docs/dr-directors.md"},
		{"netlink is closed", func(d *director) { d.daemonsErr = errors.New("operation not permitted") },
			"in-kernel daemon", Note, "not known", "ipvsadm --list --daemon"},

		{"no services", func(d *director) { d.text["/proc/net/ip_vs"] = "IP Virtual Server version 1.2.1 (size=4096)\n" },
			"services", Warning, "no virtual service", "ipvsadm -R"},
		{"no real servers", func(d *director) { d.text["/proc/net/ip_vs"] = "FWM  00000005 rr \nTCP  C0000250:1F40 rr\n" },
			"services", Warning, "no virtual service has a real server", "add them"},
		{"nothing is forwarded", func(d *director) { d.set("ipv4/ip_forward", "0") }, "services", Failure, "ip_forward is 0", "net.ipv4.ip_forward=1"},
		{"a real server that forwards back", func(d *director) {
			d.text["/proc/net/ip_vs"] += "  -> 0A000217:1F40      Route   1      0          0\n  -> C000020B:1F40      Route   1      0          0\n"
		}, "services", Warning, "backup_only is 0", "docs/dr-directors.md"},
		{"a real server that drops what is forwarded", func(d *director) {
			d.text["/proc/net/ip_vs"] += "  -> 0A000217:1F40      Tunnel  1      0          0\n  -> C000020B:1F40      Route   1      0          0\n"
			d.text["/proc/net/route"] = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\neth9\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\n"
			d.interfaces = append(d.interfaces, Interface{Name: "tunl0", Up: true})
			d.set("ipv4/conf/tunl0/rp_filter", "1")
		}, "services", Warning, "over tunl0 is dropped", "net.ipv4.conf.tunl0.rp_filter=2"},

		{"a real server that drops what comes by another interface", func(d *director) {
			d.text["/proc/net/ip_vs"] += "  -> C0000217:1F40      Route   1      0          0\n  -> C000020B:1F40      Route   1      0          0\n"
			d.text["/proc/net/route"] = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\neth9\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\n"
			d.set("ipv4/conf/eth0/rp_filter", "1")
		}, "services", Warning, "over eth0 is dropped where the way back to the client is by eth9", "net.ipv4.conf.eth0.rp_filter=2"},

		{"templates alone", func(d *director) { d.set("ipv4/vs/sync_persist_mode", "1") }, "sysctl", Warning, "sync_persist_mode=1", "sync_persist_mode=0"},
		{"drop_entry", func(d *director) { d.set("ipv4/vs/drop_entry", "3") }, "sysctl", Warning, "drop_entry=3", "drop_entry=1"},
		{"drop_packet", func(d *director) { d.set("ipv4/vs/drop_packet", "3") }, "sysctl", Warning, "drop_packet=3", "drop_packet=1"},
		{"strict rp_filter, and another way to the peer", func(d *director) {
			d.set("ipv4/conf/eth1/rp_filter", "1")
			d.sources[netip.MustParseAddr("10.0.3.12")] = netip.MustParseAddr("192.0.2.11")
		}, "sysctl", Failure, "peer 10.0.3.12 sends is dropped on eth1", "net.ipv4.conf.eth1.rp_filter=2"},
		{"strict rp_filter, and two interfaces in one network", func(d *director) {
			d.set("ipv4/conf/all/rp_filter", "1")
			d.interfaces[1].Addresses = prefixes("10.0.3.9/24")
		}, "sysctl", Warning, "eth0 has an address in the network of eth1", "a network of its own"},

		{"streams that are invalid after a failover", func(d *director) {
			d.set("ipv4/vs/conntrack", "1")
			d.set("netfilter/nf_conntrack_tcp_loose", "0")
		}, "conntrack", Warning, "nf_conntrack_tcp_loose=0", "conntrack.enabled = true"},
		{"class 2 without connection tracking", func(d *director) {
			d.subject.Config.Conntrack.Enabled = true
			delete(d.text, "/proc/sys/net/netfilter/nf_conntrack_max")
		}, "conntrack", Failure, "no connection tracking", "modprobe nf_conntrack_netlink"},
		{"class 2 without events", func(d *director) {
			d.subject.Config.Conntrack.Enabled = true
			d.set("netfilter/nf_conntrack_events", "0")
		}, "conntrack", Failure, "nf_conntrack_events=0", "nf_conntrack_events=1"},
		{"class 2 and a full table", func(d *director) {
			d.subject.Config.Conntrack.Enabled = true
			d.set("netfilter/nf_conntrack_count", "262000")
		}, "conntrack", Warning, "262000 entries of at most 262144", "nf_conntrack_max=524288"},
		{"class 2 without entries of IPVS", func(d *director) { d.subject.Config.Conntrack.Enabled = true },
			"conntrack", Note, "no conntrack entries to carry", "net.ipv4.vs.conntrack=1"},

		{"no such interface", func(d *director) { d.link().Name = "eth7" }, "links", Failure, "no interface eth1", "ip link"},
		{"an interface that is down", func(d *director) { d.link().Up = false }, "links", Failure, "eth1 is down", "ip link set eth1 up"},
		{"no carrier", func(d *director) { d.link().Carrier = false }, "links", Failure, "no carrier", "ethtool eth1"},
		{"no multicast", func(d *director) { d.link().Multicast = false }, "links", Failure, "no flag MULTICAST", "multicast on"},
		{"no address", func(d *director) { d.link().Addresses = nil }, "links", Failure, "no IPv4 address", "ip address add"},
		{"no link-local address", func(d *director) {
			d.link().Addresses = prefixes("10.0.3.11/24")
			d.subject.Config.Links[0].Group = netip.MustParseAddr("ff12::81")
		}, "links", Failure, "no link-local IPv6 address", "disable_ipv6=0"},
		{"no route to a peer", func(d *director) { d.unicast(); clear(d.sources) }, "links", Failure, "link 1: ", "ip route get 10.0.3.12"},

		{"the daemon has not joined", func(d *director) {
			d.text["/proc/net/igmp"] = "Idx\tDevice\n2\teth1      :     1      V3\n\t\t\t\t010000E0     1\n"
		},
			"multicast", Failure, "not a member of group 224.0.0.81", "systemctl restart ssyncpd"},
		{"a group that a switch may filter, and a bridge here", func(d *director) {
			d.alone()
			d.subject.Config.Links[0].Group = netip.MustParseAddr("239.1.2.3")
			d.links["/sys/class/net/eth1/master"] = "../br0"
			d.text["/sys/class/net/br0/bridge/multicast_snooping"] = "1\n"
			d.text["/sys/class/net/br0/bridge/multicast_querier"] = "0\n"
		}, "multicast", Warning, "nobody is heard in group 239.1.2.3", "ip link set br0 type bridge mcast_querier 1"},
		{"what is sent is dropped", func(d *director) { d.sendErr = errSendDropped },
			"multicast", Failure, "before it leaves", "output oifname eth1 meta l4proto 114 accept"},
		{"what comes in is dropped", func(d *director) { d.alone(); d.probeErr = errNotHeard },
			"multicast", Failure, "does not come in (no rule", "input iifname eth1 meta l4proto 114 accept"},
		{"a probe that cannot be sent", func(d *director) { d.alone(); d.probeErr = errors.New("raw socket: operation not permitted") },
			"multicast", Note, "is not known", "as root"},

		{"unread rules", func(d *director) { d.unicast(); d.nftErr = errors.New("exit status 1") }, "firewall", Note, "not known", "as root"},
		{"older rules", func(d *director) { d.text["/proc/net/ip_tables_names"] = "filter\n" }, "firewall", Note, "older iptables", "iptables-legacy-save"},
		{"a policy that drops a peer", func(d *director) { d.unicast(); d.nft = policyDrop },
			"firewall", Failure, "drops what comes from peer 10.0.3.12: chain inet filter input, by its policy", "udp dport 7114 accept"},
		{"a peer that nobody heard yet", func(d *director) { d.unicast() }, "firewall", Note, "whether firewalls between", "ssyncpd on both"},

		{"addresses that the unit drops", func(d *director) { d.link().Addresses = prefixes("203.0.113.1/24") },
			"unit", Failure, "drops packets of 203.0.113.1", "IPAddressAllow="},
		{"addresses that came after the unit looked", func(d *director) {
			d.unit["ExecStartPre"] = "{ path=/bin/sh ; argv[]=/bin/sh -c exec systemctl set-property --runtime ssyncpd.service IPAddressAllow=... }"
			d.link().Addresses = prefixes("203.0.113.1/24")
		}, "unit", Failure, "drops packets of 203.0.113.1", "systemctl restart ssyncpd, which lets"},
		{"a unit that systemd does not know yet", func(d *director) { d.unit["NeedDaemonReload"] = "yes" }, "unit", Note, "was changed", "systemctl daemon-reload"},
		{"peers that the unit drops", func(d *director) {
			d.unicast()
			d.subject.Config.Links[0].Peers = []netip.Addr{netip.MustParseAddr("203.0.113.2")}
		},
			"unit", Failure, "drops packets of 203.0.113.2", "systemctl edit ssyncpd"},

		{"the daemon does not run", (*director).stopped, "daemon", Note, "does not run", "systemctl enable --now ssyncpd"},
		{"the daemon was to run", func(d *director) { d.stopped(); d.stat[enabled] = FileStat{} }, "daemon", Failure, "enabled and does not run", "systemctl status ssyncpd"},
		{"the daemon hangs", func(d *director) { d.statusErr = admin.ErrTimeout }, "daemon", Failure, "not answered in time", "systemctl restart ssyncpd"},
		{"another socket", func(d *director) { d.statusErr = admin.ErrAbsent }, "daemon", Warning, "process 4711) and does not answer", "--admin-socket"},
		{"not our socket", func(d *director) { d.statusErr = admin.ErrPermission }, "daemon", Note, "permission denied", "as root"},
		{"no socket", func(d *director) { d.subject.Config.Admin.Socket = "" }, "daemon", Note, "no socket to be asked by", "set admin.socket"},
		{"version 1", func(d *director) { d.status.Membership = nil }, "daemon", Note, "version 1 of the protocol", "wire.version = 2"},
		{"joining", func(d *director) { d.status.State = "joining" }, "daemon", Warning, "joins", "ssyncpd status"},
		{"degraded", func(d *director) { d.status.State = "degraded"; d.status.Membership.Missing = 12 }, "daemon", Warning, "12 entries were refused", "ipvsadm -Ln"},
		{"lost news", counted("cluster_trouble", "lost"), "daemon", Warning, "news was lost in the kernel", "docs/tuning.md"},
		{"a full socket", counted("receive_dropped", "overrun"), "daemon", Warning, "did not fit the socket", "docs/tuning.md"},
		{"a rule on the way", counted("peer_unreachable", "prohibited"), "daemon", Warning, "a rule on the way", "in both directions"},

		{"alone", (*director).alone, "peers", Warning, "no peer was ever heard", "tcpdump"},
		{"a peer that is lost", func(d *director) { d.status.Peers[0].Lost, d.status.Peers[0].Heard = true, 77 },
			"peers", Warning, "lb2 (0000002b) at 10.0.3.12 was not heard for 77 s", "ssyncpd doctor there"},
		{"a peer that does not hear us", func(d *director) { d.status.Peers[0].Proven = false }, "peers", Warning, "does not answer", "ssyncpd doctor there"},
		{"a cloned machine", func(d *director) { d.status.Peers[0].Twin = true }, "peers", Failure, "two directors have the number", "systemd-machine-id-setup"},
		{"a silent link", func(d *director) {
			d.subject.Config.Links = append(d.subject.Config.Links, config.Link{Interface: "eth0", Group: netip.MustParseAddr("224.0.0.81")})
		}, "peers", Failure, "link 2 (eth0): no peer is heard", "tcpdump -n -i eth0"},
		{"another key", counted("cluster_refused", "key"), "peers", Warning, "12 frames were sealed with a key", "compare the key IDs"},
		{"another cluster", counted("cluster_refused", "foreign_sync_id"), "peers", Warning, "of another sync ID", "sync_id"},
		{"a stranger", counted("receive_dropped", "not_a_peer"), "peers", Warning, "not in the list of peers", "add the address"},

		{"a narrow link", counted("peering_trouble", "narrow_links"), "MTU", Warning, "takes less than the MTU", "ping -M do"},
		{"fragments", counted("receive_dropped", "fragment"), "MTU", Warning, "fragments", "set the MTU"},
		{"a link that is too narrow for version 1", func(d *director) { d.link().MTU = 1000; d.subject.Config.Wire.Version = 1 }, "MTU", Failure, "version 1 needs 1228", "mtu 1500"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d := newDirector()
			tt.breaks(d)
			r := d.examine()
			for _, result := range r.Results {
				for _, f := range result.Findings {
					if f.Remedy == "" {
						t.Errorf("no remedy for %s", f.What)
					}
					for _, document := range documentName.FindAllString(f.Remedy, -1) {
						if _, err := os.Stat("../../" + document); err != nil {
							t.Errorf("%s: there is no %s", f.Remedy, document)
						}
					}
					if result.Check == tt.check && f.Severity == tt.severity && strings.Contains(f.What, tt.what) && strings.Contains(f.Remedy, tt.remedy) {
						return
					}
				}
			}
			t.Errorf("want %s: %s: %q, do: %q; found:\n%s", tt.check, tt.severity, tt.what, tt.remedy, text(r))
		})
	}
}

// Without its service's family in the kernel, IPVS is simply not there.
func TestNoIPVSIsToldOnce(t *testing.T) {
	d := newDirector()
	d.stopped()
	d.daemonsErr = ipvsnetlink.ErrNoIPVS
	delete(d.stat, "/proc/net/ip_vs")
	delete(d.text, "/proc/net/ip_vs")
	d.text["/proc/modules"] = ""
	for _, result := range d.examine().Results {
		if want := result.Check == "kernel" || result.Check == "module"; (result.Severity() == Failure) != want {
			t.Errorf("%s: %v", result.Check, result.Findings)
		}
	}
}

// What was counted long ago is not a reason to wake anybody while peers are heard.
func TestOldCountersAreNotesWherePeersAreHeard(t *testing.T) {
	d := newDirector()
	d.status.Counters = map[string]map[string]uint64{"cluster_refused": {"key": 3}, "receive_dropped": {"fragment": 1}}
	r := d.examine()
	if r.Failures+r.Warnings > 0 || strings.Count(text(r), "note: since ssyncpd started") != 2 {
		t.Errorf("found:\n%s", text(r))
	}
}

func TestCountersThatAreAskedForExist(t *testing.T) {
	names := make(map[string]bool)
	d, err := cluster.New(cluster.Config{SyncID: 7, Sender: 1}, cluster.Parts{}, cluster.Settings{Period: time.Second, MaxPPS: 1}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ofCluster, ofLinks := d.Counters(), transport.NewCounters()
	for _, g := range append(ofCluster.Groups(), ofLinks.Dropped, ofLinks.PeerErrors) {
		for name := range g.All() {
			names[g.Group()+" "+name] = true
		}
	}
	for _, c := range slices.Concat(failures, refusals, tooLarge, []counted{{group: "peering_trouble", name: "narrow_links"}}) {
		if !names[c.group+" "+c.name] {
			t.Errorf("there is no counter %s of %s", c.name, c.group)
		}
	}
}

const policyDrop = `{"nftables": [
	{"chain": {"family": "inet", "table": "filter", "name": "input", "type": "filter", "hook": "input", "prio": 0, "policy": "drop"}},
	{"rule": {"family": "inet", "table": "filter", "chain": "input", "handle": 4, "expr": [
		{"match": {"op": "==", "left": {"payload": {"protocol": "tcp", "field": "dport"}}, "right": 22}}, {"accept": null}]}}
]}`
