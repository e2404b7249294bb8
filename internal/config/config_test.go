package config_test

import (
	"errors"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/logging"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// load loads a file of that content with the given arguments.
func load(t *testing.T, content string, args ...string) (config.Config, string, error) {
	t.Helper()
	return loadAs(t, "ssyncpd.toml", content, args...)
}

// loadAs is load of a file with a name.
func loadAs(t *testing.T, name, content string, args ...string) (config.Config, string, error) {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(flags(t, append([]string{"--config", file}, args...)...))
	return cfg, file, err
}

func flags(t *testing.T, args ...string) *pflag.FlagSet {
	t.Helper()
	set := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.Flags(set)
	if err := set.Parse(args); err != nil {
		t.Fatal(err)
	}
	return set
}

const minimal = `
sync_id = 7
[multicast]
interface = "eth1"
`

func TestDefaults(t *testing.T) {
	got, _, err := load(t, minimal)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{
		SyncID: 7,
		Device: config.Device{Path: "/dev/ssyncp", Period: 100 * time.Millisecond, Linger: 10 * time.Second},
		Multicast: config.Multicast{
			Interface: "eth1", Group: netip.MustParseAddr("224.0.0.81"), TTL: 255, MaxPPS: 10000,
		},
		Links: []config.Link{{Interface: "eth1", Group: netip.MustParseAddr("224.0.0.81"), TTL: 255}},
		Wire: config.Wire{
			Version: 2, Auth: config.AuthPSK, KeyFile: "/etc/ssyncp/key",
			JoinTimeout: 5 * time.Second, RingBytes: 4194304,
		},
		Admin: config.Admin{Socket: "/run/ssyncp/ssyncpd.sock"},
		VRRP:  config.VRRP{TrackFile: "/run/ssyncp/synced"},
		Log:   config.Log{Level: slog.LevelInfo, Format: logging.Text},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

// tomorrow is a time that wire.dual_until takes.
var tomorrow = time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second)

var everyKey = `
sync_id = 255
[device]
path = "/dev/other"
period = "1s"
linger = "1m"
[multicast]
interface = "bond0.12"
group = "239.1.2.3"
ttl = 255
max_pps = 10
[wire]
version = 2
auth = "none"
key_file = "/etc/other/key"
key_file_accepted = "/etc/other/key.new"
dual_until = ` + tomorrow.Format(time.RFC3339) + `
sender_id = 4294967295
name = "lb1 é"
join_timeout = "7s"
ring_bytes = 65536
[filter]
protocols = ["tcp", "sctp"]
services = ["192.0.2.80:80", "[2001:db8::80]:0", "fwmark:5"]
states = ["ESTABLISHED", "C-ECHOED"]
templates_only = true
[conntrack]
enabled = true
protocols = ["tcp", "icmpv6"]
networks = ["192.0.2.0/24", "2001:db8::/32"]
except = ["10.0.0.1"]
states = ["ESTABLISHED", "cookie_wait"]
without_ipvs = true
[admin]
socket = "/run/other.sock"
[metrics]
listen = "192.0.2.1:9581"
public = true
[vrrp]
fifo = "/run/other.fifo"
track_file = "/run/other.synced"
[log]
level = "debug"
format = "json"
`

func TestEveryKeyIsTakenFromTheFile(t *testing.T) {
	got, _, err := load(t, everyKey)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Config{
		SyncID: 255,
		Device: config.Device{Path: "/dev/other", Period: time.Second, Linger: time.Minute},
		Multicast: config.Multicast{
			Interface: "bond0.12", Group: netip.MustParseAddr("239.1.2.3"), TTL: 255, MaxPPS: 10,
		},
		Links: []config.Link{{Interface: "bond0.12", Group: netip.MustParseAddr("239.1.2.3"), TTL: 255}},
		Wire: config.Wire{
			Version: 2, Auth: config.AuthNone, KeyFile: "/etc/other/key", AcceptedKeyFile: "/etc/other/key.new",
			DualUntil: tomorrow, SenderID: 4294967295, Name: "lb1 é", JoinTimeout: 7 * time.Second, RingBytes: 65536,
		},
		Filter: config.Filter{
			Protocols: []ipvs.Protocol{ipvs.TCP, ipvs.SCTP},
			Services: []config.Service{
				{Virtual: netip.MustParseAddrPort("192.0.2.80:80")},
				{Virtual: netip.MustParseAddrPort("[2001:db8::80]:0")},
				{Fwmark: 5},
			},
			States:        []string{"ESTABLISHED", "C-ECHOED"},
			TemplatesOnly: true,
		},
		Admin:   config.Admin{Socket: "/run/other.sock"},
		Metrics: config.Metrics{Listen: config.Listen{Network: "tcp", Address: "192.0.2.1:9581"}, Public: true},
		Log:     config.Log{Level: slog.LevelDebug, Format: logging.JSON},
		Conntrack: config.Conntrack{
			Enabled:   true,
			Protocols: []conntrack.Protocol{conntrack.TCP, conntrack.ICMPv6},
			Networks:  []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")},
			Except:    []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32")},
			States:    []string{"ESTABLISHED", "COOKIE_WAIT"}, WithoutIPVS: true,
		},
		VRRP: config.VRRP{FIFO: "/run/other.fifo", TrackFile: "/run/other.synced"},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestFlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	period := func(args ...string) time.Duration {
		t.Helper()
		cfg, _, err := load(t, minimal+"[device]\nperiod = \"2s\"\n", args...)
		if err != nil {
			t.Fatal(err)
		}
		return cfg.Device.Period
	}
	if got := period(); got != 2*time.Second {
		t.Errorf("file: %v", got)
	}
	t.Setenv("SSYNCP_DEVICE_PERIOD", "3s")
	if got := period(); got != 3*time.Second {
		t.Errorf("environment over file: %v", got)
	}
	if got := period("--device-period", "4s"); got != 4*time.Second {
		t.Errorf("flag over environment: %v", got)
	}
}

func TestEveryKeyIsTakenFromTheEnvironmentAndFlags(t *testing.T) {
	values := []struct{ key, env, flag string }{
		{"sync_id", "SSYNCP_SYNC_ID=9", "--sync-id=9"},
		{"device.path", "SSYNCP_DEVICE_PATH=/dev/x", "--device-path=/dev/x"},
		{"device.period", "SSYNCP_DEVICE_PERIOD=5ms", "--device-period=5ms"},
		{"device.linger", "SSYNCP_DEVICE_LINGER=30s", "--device-linger=30s"},
		{"multicast.interface", "SSYNCP_MULTICAST_INTERFACE=eth9", "--multicast-interface=eth9"},
		{"multicast.group", "SSYNCP_MULTICAST_GROUP=239.0.0.9", "--multicast-group=239.0.0.9"},
		{"multicast.ttl", "SSYNCP_MULTICAST_TTL=255", "--multicast-ttl=255"},
		{"multicast.max_pps", "SSYNCP_MULTICAST_MAX_PPS=99", "--multicast-max-pps=99"},
		{"wire.version", "SSYNCP_WIRE_VERSION=2", "--wire-version=2"},
		{"wire.auth", "SSYNCP_WIRE_AUTH=none", "--wire-auth=none"},
		{"wire.key_file", "SSYNCP_WIRE_KEY_FILE=/k", "--wire-key-file=/k"},
		{"wire.key_file_accepted", "SSYNCP_WIRE_KEY_FILE_ACCEPTED=/k2", "--wire-key-file-accepted=/k2"},
		{"wire.dual_until", "SSYNCP_WIRE_DUAL_UNTIL=" + tomorrow.Format(time.RFC3339), "--wire-dual-until=" + tomorrow.Format(time.RFC3339)},
		{"wire.sender_id", "SSYNCP_WIRE_SENDER_ID=42", "--wire-sender-id=42"},
		{"wire.name", "SSYNCP_WIRE_NAME=lb1", "--wire-name=lb1"},
		{"wire.join_timeout", "SSYNCP_WIRE_JOIN_TIMEOUT=9s", "--wire-join-timeout=9s"},
		{"wire.ring_bytes", "SSYNCP_WIRE_RING_BYTES=100000", "--wire-ring-bytes=100000"},
		{"filter.protocols", "SSYNCP_FILTER_PROTOCOLS=tcp,udp", "--filter-protocols=tcp,udp"},
		{"filter.services", "SSYNCP_FILTER_SERVICES=192.0.2.80:80,fwmark:5", "--filter-services=192.0.2.80:80,fwmark:5"},
		{"filter.states", "SSYNCP_FILTER_STATES=established,UDP", "--filter-states=established,UDP"},
		{"filter.templates_only", "SSYNCP_FILTER_TEMPLATES_ONLY=true", "--filter-templates-only=true"},
		{"conntrack.enabled", "SSYNCP_CONNTRACK_ENABLED=true", "--conntrack-enabled=true"},
		{"conntrack.protocols", "SSYNCP_CONNTRACK_PROTOCOLS=udp,gre", "--conntrack-protocols=udp,gre"},
		{"conntrack.networks", "SSYNCP_CONNTRACK_NETWORKS=192.0.2.0/24", "--conntrack-networks=192.0.2.0/24"},
		{"conntrack.except", "SSYNCP_CONNTRACK_EXCEPT=10.0.0.1,fe80::/10", "--conntrack-except=10.0.0.1,fe80::/10"},
		{"conntrack.states", "SSYNCP_CONNTRACK_STATES=CLOSE", "--conntrack-states=CLOSE"},
		{"conntrack.without_ipvs", "SSYNCP_CONNTRACK_WITHOUT_IPVS=true", "--conntrack-without-ipvs=true"},
		{"admin.socket", "SSYNCP_ADMIN_SOCKET=/run/x.sock", "--admin-socket=/run/x.sock"},
		{"metrics.listen", "SSYNCP_METRICS_LISTEN=unix:/run/m.sock", "--metrics-listen=unix:/run/m.sock"},
		{"metrics.public", "SSYNCP_METRICS_PUBLIC=true", "--metrics-public=true"},
		{"vrrp.fifo", "SSYNCP_VRRP_FIFO=/run/x.fifo", "--vrrp-fifo=/run/x.fifo"},
		{"vrrp.track_file", "SSYNCP_VRRP_TRACK_FILE=/run/x.synced", "--vrrp-track-file=/run/x.synced"},
		{"log.level", "SSYNCP_LOG_LEVEL=warn", "--log-level=warn"},
		{"log.format", "SSYNCP_LOG_FORMAT=json", "--log-format=json"},
	}
	want := config.Config{
		SyncID: 9,
		Device: config.Device{Path: "/dev/x", Period: 5 * time.Millisecond, Linger: 30 * time.Second},
		Multicast: config.Multicast{
			Interface: "eth9", Group: netip.MustParseAddr("239.0.0.9"), TTL: 255, MaxPPS: 99,
		},
		Links: []config.Link{{Interface: "eth9", Group: netip.MustParseAddr("239.0.0.9"), TTL: 255}},
		Wire: config.Wire{
			Version: 2, Auth: config.AuthNone, KeyFile: "/k", AcceptedKeyFile: "/k2", DualUntil: tomorrow,
			SenderID: 42, Name: "lb1", JoinTimeout: 9 * time.Second, RingBytes: 100000,
		},
		Filter: config.Filter{
			Protocols:     []ipvs.Protocol{ipvs.TCP, ipvs.UDP},
			Services:      []config.Service{{Virtual: netip.MustParseAddrPort("192.0.2.80:80")}, {Fwmark: 5}},
			States:        []string{"ESTABLISHED", "UDP"},
			TemplatesOnly: true,
		},
		Admin:   config.Admin{Socket: "/run/x.sock"},
		Metrics: config.Metrics{Listen: config.Listen{Network: "unix", Address: "/run/m.sock"}, Public: true},
		Log:     config.Log{Level: slog.LevelWarn, Format: logging.JSON},
		Conntrack: config.Conntrack{
			Enabled:   true,
			Protocols: []conntrack.Protocol{conntrack.UDP, conntrack.GRE},
			Networks:  []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
			Except:    []netip.Prefix{netip.MustParsePrefix("10.0.0.1/32"), netip.MustParsePrefix("fe80::/10")},
			States:    []string{"CLOSE"}, WithoutIPVS: true,
		},
		VRRP: config.VRRP{FIFO: "/run/x.fifo", TrackFile: "/run/x.synced"},
	}
	t.Run("flags", func(t *testing.T) {
		var args []string
		for _, v := range values {
			args = append(args, v.flag)
		}
		// No file at all: the one that nobody asked for may be absent.
		got, err := config.Load(flags(t, args...))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, want)
		}
	})
	t.Run("environment", func(t *testing.T) {
		for _, v := range values {
			name, value, _ := strings.Cut(v.env, "=")
			t.Setenv(name, value)
		}
		got, err := config.Load(flags(t))
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v\nwant %+v", got, err, want)
		}
	})
}

func TestRefused(t *testing.T) {
	for _, tt := range []struct {
		name  string
		file  string
		key   string
		value any
		text  string // part of it
	}{
		{"sync ID absent", "[multicast]\ninterface='eth1'", "sync_id", nil, "not set: must be 1 to 255"},
		{"sync ID 0", "sync_id = 0", "sync_id", int64(0), "must be 1 to 255"},
		{"sync ID 256", "sync_id = 256", "sync_id", int64(256), "must be 1 to 255"},
		{"sync ID negative", "sync_id = -1", "sync_id", int64(-1), "must be 1 to 255"},
		{"sync ID a fraction", "sync_id = 7.5", "sync_id", 7.5, "not a whole number"},
		{"sync ID a truth value", "sync_id = true", "sync_id", true, "not a whole number"},
		{"unknown key", "colour = 'red'", "colour", "red", "unknown key"},
		{"a key in capitals", "Sync_ID = 7", "Sync_ID", nil, "write sync_id"},
		{"a key in capitals beside itself", "sync_id = 7\nSYNC_ID = 8", "SYNC_ID", nil, "write sync_id"},
		{"a table in capitals", "[filter]\nprotocols = ['tcp']\n[Filter]\nstates = ['UDP']", "Filter", nil, "write filter"},
		{"a key of a table in capitals", "[multicast]\nInterface = 'eth1'", "multicast.Interface", nil, "write interface"},
		{"a key of a link in capitals", "[[links]]\ninterface = 'eth1'\nPeers = ['10.0.0.2']", "links[1].Peers", nil, "write peers"},
		{"a name with a dot", "'multicast.interface' = 'eth2'\n[multicast]\ninterface = 'eth1'", "multicast.interface", nil, "write multicast as a table, and interface under it"},
		{"unknown key in a table", "[multicast]\niface = 'eth1'", "multicast.iface", "eth1", "use one of multicast.interface"},
		{"unknown table", "[bridge]\nname = 'x'", "bridge.name", "x", "unknown key"},
		{"a value where a table belongs", "device = 5", "device", int64(5), "must be a table"},
		{"relative device path", "[device]\npath = 'ssyncp'", "device.path", "ssyncp", "absolute"},
		{"period without unit", "[device]\nperiod = 100", "device.period", int64(100), `write "100ms"`},
		{"period without unit, as text", "[device]\nperiod = '100'", "device.period", "100", "without a unit"},
		{"period not a duration", "[device]\nperiod = 'soon'", "device.period", "soon", "not a duration"},
		{"period too short", "[device]\nperiod = '1us'", "device.period", "1us", "1ms to 10s"},
		{"period too long", "[device]\nperiod = '11s'", "device.period", "11s", "1ms to 10s"},
		{"linger too long", "[device]\nlinger = '6m'", "device.linger", "6m", "0s to 5m0s"},
		{"linger negative", "[device]\nlinger = '-1s'", "device.linger", "-1s", "0s to 5m0s"},
		{"interface absent", "sync_id = 7", "multicast.interface", nil, "not set"},
		{"interface not a name", "[multicast]\ninterface = 'a name of many'", "multicast.interface", "a name of many", "not an interface name"},
		{"interface a number", "[multicast]\ninterface = 1", "multicast.interface", int64(1), "not an interface name"},
		{"group not multicast", "[multicast]\ngroup = '10.0.0.1'", "multicast.group", "10.0.0.1", "not a multicast address"},
		{"group IPv6", "[multicast]\ngroup = 'ff02::81'", "multicast.group", "ff02::81", "not an IPv4 address"},
		{"group a name", "[multicast]\ngroup = 'peers'", "multicast.group", "peers", "not an IPv4 address"},
		{"TTL 64", "[multicast]\nttl = 64", "multicast.ttl", int64(64), "only 255 proves that no router forwarded"},
		{"pace 0", "[multicast]\nmax_pps = 0", "multicast.max_pps", int64(0), "1 to 1000000"},
		{"pace a text", "[multicast]\nmax_pps = 'all'", "multicast.max_pps", "all", "not a whole number"},
		{"version 3", "[wire]\nversion = 3", "wire.version", int64(3), "must be 1 to 2"},
		{"metrics for other hosts", "[metrics]\nlisten = '192.0.2.1:9581'", "metrics.listen", "192.0.2.1:9581", "or set metrics.public = true"},
		{"metrics for all hosts", "[metrics]\nlisten = '0.0.0.0:9581'", "metrics.listen", "0.0.0.0:9581", "other hosts reach this address"},
		{"metrics for all hosts of IPv6", "[metrics]\nlisten = '[::]:9581'", "metrics.listen", "[::]:9581", "other hosts reach this address"},
		{"metrics without an address", "[metrics]\nlisten = ':9581'", "metrics.listen", ":9581", "not an address and a port"},
		{"metrics by a name", "[metrics]\nlisten = 'localhost:9581'", "metrics.listen", "localhost:9581", "not an address and a port"},
		{"metrics without a port", "[metrics]\nlisten = '127.0.0.1'", "metrics.listen", "127.0.0.1", "not an address and a port"},
		{"metrics on any port", "[metrics]\nlisten = '127.0.0.1:0'", "metrics.listen", "127.0.0.1:0", "nobody finds port 0"},
		{"metrics by a port", "[metrics]\nlisten = 9581", "metrics.listen", int64(9581), "not an address and a port"},
		{"metrics at a relative path", "[metrics]\nlisten = 'unix:m.sock'", "metrics.listen", "unix:m.sock", "not an absolute path"},
		{"metrics at a path too long", "[metrics]\nlisten = 'unix:/" + strings.Repeat("s", 107) + "'", "metrics.listen", "unix:/" + strings.Repeat("s", 107), "at most 107 bytes"},
		{"metrics public, perhaps", "[metrics]\npublic = 1", "metrics.public", int64(1), "true or false"},
		{"log format", "[log]\nformat = 'xml'", "log.format", "xml", "must be text or json"},
		{"conntrack neither on nor off", "[conntrack]\nenabled = 'maybe'", "conntrack.enabled", "maybe", "true or false"},
		{"conntrack protocol", "[conntrack]\nprotocols = ['vrrp']", "conntrack.protocols", "vrrp", "not a protocol"},
		{"conntrack network", "[conntrack]\nnetworks = ['192.0.2.1/24']", "conntrack.networks", "192.0.2.1/24", "not a network"},
		{"conntrack exception", "[conntrack]\nexcept = ['lb1']", "conntrack.except", "lb1", "or one address"},
		{"conntrack state", "[conntrack]\nstates = ['OPEN']", "conntrack.states", "OPEN", "ESTABLISHED"},
		{"conntrack in version 1", "[wire]\nversion = 1\n[conntrack]\nenabled = true", "conntrack.enabled", nil, "only version 2"},
		{"relative admin socket", "[admin]\nsocket = 'ssyncpd.sock'", "admin.socket", "ssyncpd.sock", "absolute"},
		{"admin socket a truth value", "[admin]\nsocket = false", "admin.socket", false, "absolute"},
		{"relative FIFO", "[vrrp]\nfifo = 'fifo'", "vrrp.fifo", "fifo", "absolute"},
		{"relative track file", "[vrrp]\ntrack_file = 'synced'", "vrrp.track_file", "synced", "absolute"},
		{"one socket for both", "[admin]\nsocket = '/run/x'\n[metrics]\nlisten = 'unix:/run/./x'", "metrics.listen", "/run/./x", "the same file as admin.socket"},
		{"one file for both", "[vrrp]\nfifo = '/run/x'\ntrack_file = '/run/x'", "vrrp.track_file", "/run/x", "the same file as vrrp.fifo"},
		{"admin socket too long", "[admin]\nsocket = '/" + strings.Repeat("s", 107) + "'", "admin.socket", "/" + strings.Repeat("s", 107), "at most 107 bytes"},
		{"level", "[log]\nlevel = 'chatty'", "log.level", "chatty", "debug, info, warn or error"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, file, err := load(t, tt.file)
			refused(t, err, config.Problem{Key: tt.key, Value: tt.value, Origin: file, Text: tt.text})
		})
	}
}

// refused expects that problem among others; its text is a part.
func refused(t *testing.T, err error, want config.Problem) {
	t.Helper()
	var list *config.Error
	if !errors.As(err, &list) {
		t.Fatalf("err = %v", err)
	}
	for _, p := range list.Problems {
		if p.Key == want.Key && p.Value == want.Value && p.Origin == want.Origin && strings.Contains(p.Text, want.Text) {
			return
		}
	}
	t.Errorf("no %+v in\n%v", want, err)
}

func TestAllProblemsAreToldAtOnce(t *testing.T) {
	t.Setenv("SSYNCP_LOG_LEVEL", "chatty")
	t.Setenv("SSYNCP_DEVICE_PERIODE", "1s")
	_, file, err := load(t, "sync_id = 300\ncolour = 1\n[multicast]\nttl = 1\n", "--device-period=5")
	want := strings.ReplaceAll(`FILE: colour = 1: unknown key
environment: SSYNCP_DEVICE_PERIODE = "1s": unknown variable
FILE: sync_id = 300: out of range
flag --device-period: device.period = "5": a duration without a unit
FILE: multicast.interface: not set
FILE: multicast.ttl = 1: must be 255
environment SSYNCP_LOG_LEVEL: log.level = "chatty": not a level`, "FILE", file)
	if err == nil {
		t.Fatal("accepted")
	}
	got := strings.Split(err.Error(), "\n")
	lines := strings.Split(want, "\n")
	if len(got) != len(lines) {
		t.Fatalf("got:\n%v\nwant lines beginning with:\n%v", err, want)
	}
	for i := range lines {
		if !strings.HasPrefix(got[i], lines[i]) {
			t.Errorf("line %d: %q, want %q", i, got[i], lines[i])
		}
	}
}

func TestUnusableFile(t *testing.T) {
	t.Run("absent", func(t *testing.T) {
		_, err := config.Load(flags(t, "--config", "/nonexistent/ssyncpd.toml"))
		if err == nil || !strings.Contains(err.Error(), "/nonexistent/ssyncpd.toml: no such file") {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("broken YAML", func(t *testing.T) {
		_, file, err := loadYAML(t, "sync_id: 7\nmulticast: [\n")
		if err == nil || !strings.Contains(err.Error(), file+": not valid YAML: line 2") {
			t.Errorf("err = %v", err)
		}
	})
	t.Run("broken", func(t *testing.T) {
		_, file, err := load(t, "sync_id = 7\n[multicast\n")
		if err == nil || !strings.Contains(err.Error(), file+":2:") {
			t.Errorf("err = %v, want %s:2:...", err, file)
		}
	})
}

func TestLoadDeviceNeedsNoMoreThanTheDevice(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ssyncpd.toml")
	if err := os.WriteFile(file, []byte("[device]\npath = '/dev/other'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := config.LoadDevice(flags(t, "--config", file))
	if err != nil || d.Path != "/dev/other" {
		t.Errorf("got %+v, %v", d, err)
	}
	if _, err := config.LoadDevice(flags(t, "--config", file, "--device-path", "other")); err == nil {
		t.Error("a relative path was accepted")
	}
}

func TestAdminSocketIsFoundWhateverElseIsWrong(t *testing.T) {
	broken := filepath.Join(t.TempDir(), "broken.toml")
	if err := os.WriteFile(broken, []byte("[admin\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args string
		want string // "": refused
	}{
		{"no configuration", "", config.DefaultSocket},
		{"a wrong key", "--sync-id=300 --admin-socket=/run/x.sock", "/run/x.sock"},
		{"named beside a broken file", "--config=" + broken + " --admin-socket=/run/x.sock", "/run/x.sock"},
		{"a broken file", "--config=" + broken, ""},
		{"a relative path", "--admin-socket=x.sock", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := config.LoadAdmin(flags(t, strings.Fields(tt.args)...))
			if got.Socket != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("got %+v, %v", got, err)
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		got, err := config.LoadAdmin(flags(t, "--admin-socket="))
		if err != nil || got.Socket != "" {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

func TestAdminSocketIsRequiredWhereSomebodyChoseIt(t *testing.T) {
	for _, tt := range []struct {
		socket string
		want   bool
	}{
		{config.DefaultSocket, false},
		{"", false},
		{"/run/ssyncp/blue.sock", true},
	} {
		c, _, err := load(t, minimal+"[admin]\nsocket = '"+tt.socket+"'\n")
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Admin.Required(); got != tt.want {
			t.Errorf("%q: %v", tt.socket, got)
		}
	}
}

func TestTrackFileIsRequiredWhereSomebodyChoseIt(t *testing.T) {
	for path, want := range map[string]bool{config.DefaultTrackFile: false, "": false, "/run/blue/synced": true} {
		if got := (config.VRRP{TrackFile: path}).TrackFileRequired(); got != want {
			t.Errorf("%q: %v", path, got)
		}
	}
}

func TestReloadTakesOverWhatItCanAndNamesTheRest(t *testing.T) {
	running, _, err := load(t, minimal)
	if err != nil {
		t.Fatal(err)
	}
	next, _, err := load(t, `
sync_id = 8
[device]
path = "/dev/other"
period = "1s"
linger = "1m"
[multicast]
interface = "eth2"
group = "239.0.0.1"
max_pps = 5
[admin]
socket = ""
[metrics]
listen = "127.0.0.1:9581"
public = true
[vrrp]
fifo = "/run/x"
track_file = ""
[log]
level = "debug"
format = "json"
`)
	if err != nil {
		t.Fatal(err)
	}
	got, restart := running.Reload(next)
	want := running
	want.Device.Period, want.Multicast.MaxPPS, want.Log.Level, want.Metrics.Public = time.Second, 5, slog.LevelDebug, true
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	if names := strings.Join(restart, " "); names != "sync_id device.path device.linger multicast.interface multicast.group admin.socket metrics.listen log.format vrrp.fifo vrrp.track_file" {
		t.Errorf("restart = %q", names)
	}
	if _, restart := running.Reload(running); restart != nil {
		t.Errorf("nothing changed, but %q", restart)
	}
}

// The sample is what a first installation starts from.
func TestSampleIsValidAndShowsTheDefaults(t *testing.T) {
	sample, err := config.Load(flags(t, "--config", "../../contrib/ssyncpd.toml"))
	if err != nil {
		t.Fatal(err)
	}
	want, _, err := load(t, minimal)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(sample, want) {
		t.Errorf("sample  %+v\ndefault %+v", sample, want)
	}
}
