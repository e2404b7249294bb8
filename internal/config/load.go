package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// document is the file's shape. Values stay as they came: viper would turn
// 5 into five nanoseconds and true into the number 1.
type document struct {
	SyncID any `mapstructure:"sync_id"`
	Device struct {
		Path   any `mapstructure:"path"`
		Period any `mapstructure:"period"`
		Linger any `mapstructure:"linger"`
	} `mapstructure:"device"`
	Multicast struct {
		Interface any `mapstructure:"interface"`
		Group     any `mapstructure:"group"`
		TTL       any `mapstructure:"ttl"`
		MaxPPS    any `mapstructure:"max_pps"`
	} `mapstructure:"multicast"`
	Links any `mapstructure:"links"`
	Wire  struct {
		Version         any `mapstructure:"version"`
		Auth            any `mapstructure:"auth"`
		KeyFile         any `mapstructure:"key_file"`
		KeyFileAccepted any `mapstructure:"key_file_accepted"`
		DualUntil       any `mapstructure:"dual_until"`
		SenderID        any `mapstructure:"sender_id"`
		Name            any `mapstructure:"name"`
		JoinTimeout     any `mapstructure:"join_timeout"`
		RingBytes       any `mapstructure:"ring_bytes"`
	} `mapstructure:"wire"`
	Filter struct {
		Protocols     any `mapstructure:"protocols"`
		Services      any `mapstructure:"services"`
		States        any `mapstructure:"states"`
		TemplatesOnly any `mapstructure:"templates_only"`
	} `mapstructure:"filter"`
	Conntrack struct {
		Enabled     any `mapstructure:"enabled"`
		Protocols   any `mapstructure:"protocols"`
		Networks    any `mapstructure:"networks"`
		Except      any `mapstructure:"except"`
		States      any `mapstructure:"states"`
		WithoutIPVS any `mapstructure:"without_ipvs"`
	} `mapstructure:"conntrack"`
	Admin struct {
		Socket any `mapstructure:"socket"`
	} `mapstructure:"admin"`
	Metrics struct {
		Listen any `mapstructure:"listen"`
		Public any `mapstructure:"public"`
	} `mapstructure:"metrics"`
	VRRP struct {
		FIFO      any `mapstructure:"fifo"`
		TrackFile any `mapstructure:"track_file"`
	} `mapstructure:"vrrp"`
	Log struct {
		Level  any `mapstructure:"level"`
		Format any `mapstructure:"format"`
	} `mapstructure:"log"`
}

// Load reads the file that flags name, the environment and flags, which were
// made by Flags and parsed. It fails with an *Error that lists everything
// that is wrong.
func Load(flags *pflag.FlagSet) (Config, error) {
	cfg, wrong, err := load(flags)
	if err != nil {
		return Config{}, err
	}
	if len(wrong) > 0 {
		return Config{}, &Error{Problems: wrong}
	}
	return cfg, nil
}

// LoadDevice is Load for what only looks at the device: that the rest of the
// configuration is not complete does not keep anybody from looking.
func LoadDevice(flags *pflag.FlagSet) (Device, error) {
	cfg, err := loadFor(flags, "device.path")
	return cfg.Device, err
}

// LoadKeyFile is Load for what makes a key, which is done before there is a
// complete configuration.
func LoadKeyFile(flags *pflag.FlagSet) (string, error) {
	cfg, err := loadFor(flags, "wire.key_file")
	return cfg.Wire.KeyFile, err
}

// LoadAdmin is Load for what talks to a running daemon. Somebody who names the
// socket needs no configuration: it may be broken since the daemon started, or
// not be theirs to read.
func LoadAdmin(flags *pflag.FlagSet) (Admin, error) {
	if flag := flags.Lookup("admin-socket"); flag != nil && flag.Changed && filepath.IsAbs(flag.Value.String()) {
		return Admin{Socket: flag.Value.String()}, nil
	}
	cfg, err := loadFor(flags, "admin.socket")
	return cfg.Admin, err
}

// loadFor fails only where the file, or that key, is wrong.
func loadFor(flags *pflag.FlagSet, key string) (Config, error) {
	cfg, wrong, err := load(flags)
	if err != nil {
		return Config{}, err
	}
	wrong = slices.DeleteFunc(wrong, func(p Problem) bool { return p.Key != "" && p.Key != key })
	if len(wrong) > 0 {
		return Config{}, &Error{Problems: wrong}
	}
	return cfg, nil
}

func load(flags *pflag.FlagSet) (Config, []Problem, error) {
	cfg, p, err := judge(flags)
	if err != nil {
		return Config{}, nil, err
	}
	return cfg, p.list, nil
}

// judge returns what is configured, what is wrong with it, and where it all
// comes from.
func judge(flags *pflag.FlagSet) (Config, *problems, error) {
	file, two, err := fileOf(flags)
	if err != nil {
		return Config{}, nil, fmt.Errorf("config: flags not made by Flags: %w", err)
	}
	text, err := newDecoder(formatOf(file))
	if err != nil {
		return Config{}, nil, fmt.Errorf("config: %w", err)
	}
	v := viper.NewWithOptions(viper.WithDecoderRegistry(decoders{text}))
	for _, k := range keys {
		v.SetDefault(k.name, k.preset)
		if err := v.BindPFlag(k.name, flags.Lookup(k.flag())); err != nil {
			return Config{}, nil, fmt.Errorf("config: %w", err)
		}
		if err := v.BindEnv(k.name, k.env()); err != nil {
			return Config{}, nil, fmt.Errorf("config: %w", err)
		}
	}
	v.SetConfigFile(file)
	v.SetConfigType(formatOf(file).viper)
	p := &problems{list: two, now: time.Now(), origins: origins{file: file, flags: flags, inFile: v.InConfig}}

	if err := v.ReadInConfig(); err != nil {
		// Everything may come from the environment and flags, but a file
		// that was asked for must be there.
		if !errors.Is(err, fs.ErrNotExist) || flags.Changed(fileFlag) {
			p.list = append(p.list, unreadable(file, err))
			return Config{}, p, nil
		}
		p.origins.absent = true
	}
	for _, wrong := range text.wrong {
		wrong.Origin = file
		p.list = append(p.list, wrong)
	}
	p.unknownKeys(v)
	p.unknownEnvironment()

	var doc document
	if err := v.UnmarshalExact(&doc); err != nil && len(p.list) == 0 {
		p.list = append(p.list, Problem{Origin: file, Text: err.Error()})
	}
	return p.config(doc), p, nil
}

// unreadable says why a file could not be used, and where it is broken.
func unreadable(file string, err error) Problem {
	var path *fs.PathError
	if errors.As(err, &path) {
		return Problem{Origin: file, Text: path.Err.Error() + ": name an existing, readable file with --" + fileFlag}
	}
	origin := file
	var at interface{ Position() (row, column int) }
	if errors.As(err, &at) {
		row, column := at.Position()
		origin = fmt.Sprintf("%s:%d:%d", file, row, column)
	}
	var parse viper.ConfigParseError
	if errors.As(err, &parse) {
		err = parse.Unwrap()
	}
	f := formatOf(file)
	return Problem{Origin: origin, Text: "not valid " + f.name + ": " + strings.TrimPrefix(err.Error(), f.prefix)}
}

// unknownKeys refuses what the file holds under no known name.
func (p *problems) unknownKeys(v *viper.Viper) {
	all := v.AllKeys()
	slices.Sort(all)
	for _, name := range all {
		if slices.ContainsFunc(keys, func(k key) bool { return k.name == name }) {
			continue
		}
		text := "unknown key: " + known(name)
		if slices.ContainsFunc(keys, func(k key) bool { return strings.HasPrefix(k.name, name+".") }) {
			text = "must be a table: write [" + name + "] and its keys under it"
			p.hidden = append(p.hidden, name+".")
		}
		p.list = append(p.list, Problem{Key: name, Value: v.Get(name), Origin: p.origins.file, Text: text})
	}
}

// unknownEnvironment refuses variables that look like ours and set nothing:
// most likely a misspelt key.
func (p *problems) unknownEnvironment() {
	for _, variable := range os.Environ() {
		name, value, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, envPrefix) ||
			slices.ContainsFunc(keys, func(k key) bool { return k.env() == name }) {
			continue
		}
		p.list = append(p.list, Problem{
			Key:    name,
			Value:  value,
			Origin: "environment",
			Text:   "unknown variable: unset it, or name a key as " + keys[1].env() + " does",
		})
	}
}

// known lists the keys that may stand where an unknown one does.
func known(name string) string {
	table, _, nested := strings.Cut(name, ".")
	var near, all []string
	for _, k := range keys {
		all = append(all, k.name)
		if nested && strings.HasPrefix(k.name, table+".") {
			near = append(near, k.name)
		}
	}
	if near == nil {
		near = all
	}
	return "remove it, or use one of " + strings.Join(near, ", ")
}

// origins tells where a value came from.
type origins struct {
	file   string
	absent bool
	flags  *pflag.FlagSet
	inFile func(name string) bool
}

// set reports whether somebody set the key, to its default even.
func (o origins) set(name string) bool {
	i := slices.IndexFunc(keys, func(k key) bool { return k.name == name })
	return o.flags.Changed(keys[i].flag()) || keys[i].inEnvironment() || o.inFile(name)
}

// of returns where the value of a key came from; for what is in a list, that is
// where the list did.
func (o origins) of(name string) string {
	name, _, _ = strings.Cut(name, "[")
	i := slices.IndexFunc(keys, func(k key) bool { return k.name == name })
	switch k := keys[i]; {
	case o.flags.Changed(k.flag()):
		return "flag --" + k.flag()
	case k.inEnvironment():
		return "environment " + k.env()
	case o.absent:
		return o.file + " (no such file)"
	default:
		return o.file
	}
}
