package config

import (
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ssyncp/ssyncp/internal/logging"
)

// key is one thing that can be configured: under its own name in the file, as
// a variable in the environment and as a flag.
type key struct {
	name   string
	preset any
	takes  string // what the help text shows as the flag's value
	usage  string
}

// keys are all there are. A preset that is not valid must be configured.
var keys = []key{
	{"sync_id", 0, "1..255", "sync ID that the directors of one cluster share"},
	{"device.path", "/dev/ssyncp", "path", "device of the kernel module"},
	{"device.period", "100ms", "duration", "how often the device is read and a partial advert leaves"},
	{"device.linger", "10s", "duration", "how long the kernel keeps news while the daemon restarts"},
	{"multicast.interface", "", "interface", "interface that adverts leave and arrive on"},
	{"multicast.group", defaultGroup.String(), "address", "IPv4 multicast group of the adverts"},
	{"multicast.ttl", ttl, "255", "TTL of the adverts; receivers take no other"},
	{"multicast.max_pps", 10000, "number", "most adverts sent in a second"},
	{"links", "", "links", "version 2: several links, such as eth1,group=224.0.0.81;eth2,peers=10.0.0.2+10.0.0.3,udp_port=7114,ttl=64"},
	{"wire.version", 2, "1..2", "protocol version: 2 is authenticated, 1 is not"},
	{"wire.auth", string(AuthPSK), "psk|none", "version 2: how peers prove to be peers"},
	{"wire.key_file", "/etc/ssyncp/key", "path", "version 2: file of the key to seal with"},
	{"wire.key_file_accepted", "", "path", "version 2: file of a second key that is accepted"},
	{"wire.dual_until", "", "time", "version 2: speak version 1, too, until then (RFC 3339, at most 7 days ahead)"},
	{"wire.sender_id", 0, "number", "version 2: this director's number; 0 derives it from /etc/machine-id"},
	{"wire.name", "", "text", "version 2: this director's name, for people; the host's if empty"},
	{"wire.join_timeout", "5s", "duration", "version 2: how long to wait for a peer before being alone"},
	{"wire.ring_bytes", 4 << 20, "number", "version 2: memory for what peers may have missed"},
	{"filter.protocols", "", "list", "version 2: send only these: tcp,udp,sctp"},
	{"filter.services", "", "list", "version 2: send only these, such as 192.0.2.80:80,fwmark:5"},
	{"filter.states", "", "list", "version 2: send connections only in these states, such as ESTABLISHED,UDP"},
	{"filter.templates_only", false, "true|false", "version 2: send templates, no connections"},
	{"conntrack.enabled", false, "true|false", "version 2: carry the entries of netfilter's connection tracking, too"},
	{"conntrack.protocols", "", "list", "send only these entries: tcp,udp,sctp,icmp,icmpv6,gre,udplite"},
	{"conntrack.networks", "", "list", "send only entries of these networks, such as 192.0.2.0/24"},
	{"conntrack.except", "", "list", "send no entries of these networks: the directors' own addresses"},
	{"conntrack.states", "", "list", "send entries of TCP and SCTP only in these states, such as ESTABLISHED"},
	{"conntrack.without_ipvs", false, "true|false", "send no entries of connections that IPVS translates"},
	{"admin.socket", DefaultSocket, "path", "unix socket of status, resync and role, none if empty; each daemon on a host needs its own"},
	{"metrics.listen", "", "address", "where Prometheus metrics and a status page are: 127.0.0.1:9581, [::1]:9581, unix:/path, none if empty"},
	{"metrics.public", false, "true|false", "let metrics.listen be an address that other hosts reach"},
	{"vrrp.fifo", "", "path", "FIFO that keepalived writes roles to (vrrp_notify_fifo), none if empty"},
	{"vrrp.track_file", DefaultTrackFile, "path", "file that says 1 while this director is synced, for keepalived's track_file; none if empty"},
	{"log.level", "info", "debug|info|warn|error", "least level of what is logged"},
	{"log.format", string(logging.Text), "text|json", "what a line of the log is"},
}

const envPrefix = "SSYNCP_"

// env is the key's variable: SSYNCP_DEVICE_PERIOD.
func (k key) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.name, ".", "_"))
}

// inEnvironment reports whether the variable is set: an empty one is not.
func (k key) inEnvironment() bool { return os.Getenv(k.env()) != "" }

// flag is the key's flag: device-period.
func (k key) flag() string {
	return strings.NewReplacer(".", "-", "_", "-").Replace(k.name)
}

// text is a flag that is kept as it was typed, so that a bad value is refused
// in the same words wherever it stands.
type text struct {
	value string
	takes string
}

func (t *text) String() string     { return t.value }
func (t *text) Set(s string) error { t.value = s; return nil }
func (t *text) Type() string       { return t.takes }

// fileFlag names the configuration file.
const fileFlag = "config"

// Flags adds --config and a flag for every key.
func Flags(flags *pflag.FlagSet) {
	flags.String(fileFlag, DefaultFile, "configuration `file`, in YAML if its name says so")
	for _, k := range keys {
		flags.Var(&text{takes: k.takes}, k.flag(), k.usage)
	}
}
