package config

import (
	"strings"

	"github.com/spf13/pflag"
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
	{"multicast.interface", "", "name", "interface that adverts leave and arrive on"},
	{"multicast.group", "224.0.0.81", "address", "IPv4 multicast group of the adverts"},
	{"multicast.ttl", ttl, "255", "TTL of the adverts; receivers take no other"},
	{"multicast.max_pps", 10000, "number", "most adverts sent in a second"},
	{"wire.version", 1, "1", "protocol version to send"},
	{"log.level", "info", "level", "debug, info, warn or error"},
}

const envPrefix = "SSYNCP_"

// env is the key's variable: SSYNCP_DEVICE_PERIOD.
func (k key) env() string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(k.name, ".", "_"))
}

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
	flags.String(fileFlag, DefaultFile, "configuration `file`")
	for _, k := range keys {
		flags.Var(&text{takes: k.takes}, k.flag(), k.usage)
	}
}
