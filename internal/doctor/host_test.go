package doctor

import (
	"context"
	"io/fs"
	"net/netip"
	"os/exec"
	"path"
	"slices"
	"strings"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/identity"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// director is a host that tests break something of. A new one is well.
type director struct {
	user       int
	text       map[string]string // of files
	stat       map[string]FileStat
	links      map[string]string // of symbolic links
	stats      chardev.Stats
	openErr    error
	interfaces []Interface
	daemons    []SyncDaemon
	daemonsErr error
	sources    map[netip.Addr]netip.Addr
	probeErr   error             // where the probe is to be heard
	sendErr    error             // where it is not
	unit       map[string]string // as systemctl show has it; nil: there is no systemd
	installed  string            // srcversion of the module
	nft        string
	nftErr     error
	status     admin.Status
	statusErr  error
	keys       map[string]frame.Key
	keyErr     error
	idErr      error
	subject    Subject
}

const (
	configFile = "/etc/ssyncp/ssyncpd.toml"
	keyFile    = "/etc/ssyncp/key"
	daemonUser = 998
)

func key(s string) frame.Key {
	k, err := frame.ParseKeyFile([]byte("ssyncp-key-1:" + s + "ECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"))
	if err != nil {
		panic(err)
	}
	return k
}

// newDirector is one of two: the packaged daemon runs, and hears its peer.
func newDirector() *director {
	group := FileStat{User: 0, Group: daemonUser, Mode: 0o640}
	directory := FileStat{Mode: 0o755, Directory: true}
	d := &director{
		text: map[string]string{
			"/etc/passwd":                   "root:x:0:0::/root:/bin/sh\nssyncp:x:998:998::/run/ssyncp:/usr/sbin/nologin\n",
			"/etc/group":                    "root:x:0:\nssyncp:x:998:\n",
			"/proc/sys/kernel/osrelease":    "6.1.0-56-amd64\n",
			"/proc/modules":                 "ssyncp 65536 1 - Live 0x0\nip_vs 200704 3 ssyncp, Live 0x0\n",
			"/sys/module/ssyncp/srcversion": "ABC\n",
			"/sys/module/ssyncp/version":    "0.1.0\n",
			"/proc/net/ip_vs":               "IP Virtual Server version 1.2.1 (size=4096)\nProt LocalAddress:Port Scheduler Flags\n  -> RemoteAddress:Port Forward Weight ActiveConn InActConn\nTCP  C0000250:1F40 rr \n  -> 0A000216:1F40      Masq    1      0          0\n",
			"/proc/net/igmp":                "Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter\n1\tlo        :     1      V3\n\t\t\t\t010000E0     1 0:00000000\t\t0\n2\teth1      :     2      V3\n\t\t\t\t510000E0     1 0:00000000\t\t0\n\t\t\t\t010000E0     1 0:00000000\t\t0\n",
			"/proc/self/status":             "CapEff:\t000001ffffffffff\n",
			"/proc/4711/comm":               "ssyncpd\n",
			"/proc/4711/status":             "Name:\tssyncpd\nUid:\t998\t998\t998\t998\nCapEff:\t0000000000003000\n",
		},
		stat: map[string]FileStat{
			configFile: group, keyFile: group, "/etc/ssyncp": {Group: daemonUser, Mode: 0o2750, Directory: true}, "/etc": directory, "/": directory,
			"/dev/ssyncp": {Group: daemonUser, Mode: 0o660, Device: true}, "/proc/net/ip_vs": {Mode: 0o444},
		},
		links: map[string]string{
			"/proc/self": "5000", "/proc/self/ns/net": "net:[1]", "/proc/4711/ns/net": "net:[1]", "/proc/4711/fd/6": "/dev/ssyncp",
		},
		stats: chardev.Stats{ABIVersion: chardev.ABIVersion, State: chardev.StateCapturing | chardev.StateInterposed},
		interfaces: []Interface{
			{Name: "lo", Index: 1, MTU: 65536, Up: true, Carrier: true, Loopback: true, Addresses: prefixes("127.0.0.1/8")},
			{Name: "eth0", Index: 3, MTU: 1500, Up: true, Carrier: true, Multicast: true, Addresses: prefixes("192.0.2.11/24")},
			{Name: "eth1", Index: 2, MTU: 1500, Up: true, Carrier: true, Multicast: true, Addresses: prefixes("10.0.3.11/24", "fe80::11/64")},
		},
		sources: map[netip.Addr]netip.Addr{netip.MustParseAddr("10.0.3.12"): netip.MustParseAddr("10.0.3.11")},
		unit: map[string]string{
			"LoadState": "loaded", "FragmentPath": "/usr/lib/systemd/system/ssyncpd.service", "User": "ssyncp", "NeedDaemonReload": "no",
			"IPAddressAllow": "127.0.0.0/8 ::1/128 169.254.0.0/16 fe80::/64 224.0.0.0/4 ff00::/8 10.0.0.0/8", "IPAddressDeny": "::/0 0.0.0.0/0",
		},
		installed: "ABC", nft: `{"nftables": []}`,
		status: admin.Status{
			Version: "1.2.3", Protocol: 2, SyncID: 7,
			Membership: &admin.Membership{State: "synced", Peers: []admin.Peer{peer()}},
			Counters:   map[string]map[string]uint64{},
		},
		keys: map[string]frame.Key{keyFile: key("AA")},
		subject: Subject{File: configFile, Config: config.Config{
			SyncID: 7, Device: config.Device{Path: "/dev/ssyncp"},
			Links: []config.Link{{Interface: "eth1", Group: netip.MustParseAddr("224.0.0.81"), TTL: 255}},
			Wire:  config.Wire{Version: 2, Auth: config.AuthPSK, KeyFile: keyFile},
			Admin: config.Admin{Socket: "/run/ssyncp/ssyncpd.sock"},
		}},
	}
	for key, value := range map[string]string{
		"ipv4/ip_forward": "1", "ipv4/conf/all/rp_filter": "0", "ipv4/conf/eth0/rp_filter": "0", "ipv4/conf/eth1/rp_filter": "0",
		"ipv4/vs/conntrack": "0", "ipv4/vs/backup_only": "0", "ipv4/vs/sync_persist_mode": "0", "ipv4/vs/drop_entry": "0",
		"ipv4/vs/drop_packet": "0", "ipv4/vs/expire_nodest_conn": "0", "netfilter/nf_conntrack_tcp_loose": "1",
		"netfilter/nf_conntrack_max": "262144", "netfilter/nf_conntrack_count": "100", "netfilter/nf_conntrack_events": "2",
	} {
		d.set(key, value)
	}
	return d
}

// peer is one that is heard.
func peer() admin.Peer {
	return admin.Peer{
		PeerName: admin.PeerName{SenderID: "0000002b", Name: "lb2"}, Address: "10.0.3.12", Link: 1, Proven: true, State: "synced", Heard: 0.3,
		Links: []admin.LinkHeard{{Link: 1, Heard: 0.3}},
	}
}

func prefixes(list ...string) (all []netip.Prefix) {
	for _, p := range list {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}

// set sets a key under net, by its path.
func (d *director) set(key, value string) { d.text["/proc/sys/net/"+key] = value + "\n" }

// link returns the interface eth1.
func (d *director) link() *Interface { return &d.interfaces[2] }

// alone makes the daemon one that hears nobody.
func (d *director) alone() {
	d.status.Membership.State = "synced (alone)"
	d.status.Membership.Peers = nil
}

// stopped ends the daemon.
func (d *director) stopped() {
	d.statusErr = admin.ErrAbsent
	delete(d.text, "/proc/4711/comm")
	d.stats.State = 0
}

// unicast makes the link one in UDP to one peer, which is not heard.
func (d *director) unicast() {
	d.alone()
	d.subject.Config.Links = []config.Link{{Interface: "eth1", Peers: []netip.Addr{netip.MustParseAddr("10.0.3.12")}, UDPPort: 7114, TTL: 255}}
}

func (d *director) examine() Report {
	return Examine(context.Background(), Host{
		User:        d.user,
		Files:       d,
		Device:      func(string) (Device, error) { return d, d.openErr },
		Interfaces:  func() []Interface { return d.interfaces },
		SyncDaemons: func() ([]SyncDaemon, error) { return d.daemons, d.daemonsErr },
		SourceTo: func(to netip.Addr) (netip.Addr, error) {
			from, ok := d.sources[to]
			if !ok {
				return from, fs.ErrNotExist
			}
			return from, nil
		},
		Probe: func(_ context.Context, _ config.Link, _ Interface, hear bool) error {
			if !hear {
				return d.sendErr
			}
			return d.probeErr
		},
		Run: func(_ context.Context, name string, _ ...string) ([]byte, error) {
			switch name {
			case "nft":
				return []byte(d.nft), d.nftErr
			case "systemctl":
				if d.unit == nil {
					return nil, exec.ErrNotFound
				}
				var b strings.Builder
				for key, value := range d.unit {
					b.WriteString(key + "=" + value + "\n")
				}
				return []byte(b.String()), nil
			case "modinfo":
				return []byte(d.installed + "\n"), nil
			}
			return nil, exec.ErrNotFound
		},
		Status: func(context.Context, string) (admin.Status, error) { return d.status, d.statusErr },
		Key: func(path string, user int) (frame.Key, error) {
			if d.keyErr != nil {
				return frame.Key{}, d.keyErr
			}
			return d.keys[path], nil
		},
		Identity: func(uint32, string) (identity.Identity, error) {
			return identity.Identity{SenderID: 0x2a, Name: "lb1"}, d.idErr
		},
	}, d.subject)
}

// A director is its files and its device, too.

func (d *director) ReadFile(name string) ([]byte, error) {
	if text, ok := d.text[name]; ok {
		return []byte(text), nil
	}
	return nil, fs.ErrNotExist
}

func (d *director) Stat(name string) (FileStat, error) {
	if s, ok := d.stat[name]; ok {
		return s, nil
	}
	return FileStat{}, fs.ErrNotExist
}

func (d *director) Readlink(name string) (string, error) {
	if to, ok := d.links[name]; ok {
		return to, nil
	}
	return "", fs.ErrNotExist
}

func (d *director) Glob(pattern string) (found []string) {
	for _, names := range []map[string]string{d.text, d.links} {
		for name := range names {
			if ok, err := path.Match(pattern, name); err == nil && ok {
				found = append(found, name)
			}
		}
	}
	slices.Sort(found)
	return found
}

func (d *director) Stats(s *chardev.Stats) error { *s = d.stats; return nil }
func (d *director) Close() error                 { return nil }

// text of all findings, for failures of tests.
func text(r Report) string {
	var b strings.Builder
	for _, result := range r.Results {
		for _, f := range result.Findings {
			b.WriteString(result.Check + ": " + string(f.Severity) + ": " + f.What + "\n\tdo: " + f.Remedy + "\n")
		}
	}
	return b.String()
}
