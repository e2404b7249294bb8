// Package command is the command line of ssyncpd.
package command

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"

	"github.com/spf13/pflag"

	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/daemon"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// Exit codes.
const (
	exitOK     = 0
	exitFailed = 1
	exitUsage  = 2

	// Those of diff are those of diff(1).
	exitDiffers     = 1
	exitNotCompared = 2
)

// invocation is what a command works with.
type invocation struct {
	commands       []command
	flags          *pflag.FlagSet
	json           bool
	showVersion    bool
	argument       string // "" where there is none
	instance       string // "" where there is none
	virtual        string // "" where there is none
	protocol       string // "" where there is none
	copies         bool
	class          string // of objects
	version        string
	journal        bool // reads stderr
	stdout, stderr io.Writer
}

type command struct {
	name     string
	argument string // what it may be given
	usage    string
	json     bool // knows --json
	run      func(*invocation) error
}

// Classes of connections.
const (
	classIPVS      = "ipvs"
	classConntrack = "conntrack"
)

// withClass are the commands that know --class.
var withClass = []string{"dump", "diff", "flush"}

// errMisused says that a command does not know its argument.
var errMisused = errors.New("not a command")

// commands are all there are; the first is the default.
var commands = []command{
	{"run", "", "synchronize connections until SIGTERM (the default)", false, run},
	{"check-config", "", "validate the configuration, and the key files of version 2, and exit", false, checkConfig},
	{"config", "show", "show all settings, and where each comes from; networks: those of the links", true, configure},
	{"keygen", "path", "make a key for version 2, in wire.key_file or another file", false, keygen},
	{"status", "", "show how the running daemon and its peers are", true, status},
	{"top", "", "show the same every second, until q is pressed", false, top},
	{"explain", "client", "show where a client's connections are: here, and at each peer, in IPVS and in conntrack; by address and port, 10.0.0.1:5555 or [fd00::1]:5555", true, explain},
	{"diff", "peer", "compare this director's connections with a peer's, of each class that is carried; exits with 0 where they are alike, 1 where not, 2 where that is not known", true, diff},
	{"flush", "", "--copies: drop the connections here that other directors own, of IPVS or with --class conntrack those of netfilter", true, flush},
	{"resync", "peer", "have the running daemon take what a peer owns, or all peers; by sender ID, name or address", false, resync},
	{"role", "role", "tell the running daemon what a VRRP instance is: --instance NAME master, backup, fault, or stop", false, role},
	{"doctor", "", "look for what keeps this director from synchronizing, and say what to do; exit code 1 if there is a warning or a failure", true, examine},
	{"dump", "", "show this director's connections, as the kernel module has them, or with --class conntrack those of netfilter", true, dump},
	{"stats", "", "show the kernel module's counters", true, stats},
	{"completion", "shell", "print what bash, zsh or fish needs to complete command lines", false, complete},
}

// Main runs the command that args name and returns the exit code.
func Main(args []string, version string, stdout, stderr io.Writer) int {
	inv := newInvocation(version, stdout, stderr)
	err := inv.flags.Parse(args)
	switch {
	case errors.Is(err, pflag.ErrHelp):
		fmt.Fprint(stdout, usage(inv.flags))
		return exitOK
	case err != nil:
		return inv.misused(err.Error())
	case inv.showVersion:
		fmt.Fprintf(stdout, "ssyncpd %s\n", describe(version))
		return exitOK
	}
	chosen := commands[0]
	if inv.flags.NArg() > 0 {
		name := inv.flags.Arg(0)
		i := slices.IndexFunc(commands, func(c command) bool { return c.name == name })
		if i < 0 {
			return inv.misused(fmt.Sprintf("unknown command %q", name))
		}
		chosen = commands[i]
	}
	takes, limit := "no", 1
	if chosen.argument != "" {
		takes, limit = "one", 2
		inv.argument = inv.flags.Arg(1)
	}
	switch {
	case inv.flags.NArg() > limit:
		return inv.misused(fmt.Sprintf("%s takes %s argument: %q", chosen.name, takes, inv.flags.Arg(limit)))
	case inv.json && !chosen.json:
		return inv.misused("--json is for " + withJSON())
	case inv.flags.Changed(instanceFlag) && chosen.name != "role":
		return inv.misused("--instance is for role")
	case (inv.flags.Changed("virtual") || inv.flags.Changed("protocol")) && chosen.name != "explain":
		return inv.misused("--virtual and --protocol are for explain")
	case inv.flags.Changed("copies") && chosen.name != "flush":
		return inv.misused("--copies is for flush")
	case inv.flags.Changed(classFlag) && !slices.Contains(withClass, chosen.name):
		return inv.misused("--class is for " + strings.Join(withClass, ", "))
	case inv.class != classIPVS && inv.class != classConntrack:
		return inv.misused(fmt.Sprintf("--class is %s or %s, not %q", classIPVS, classConntrack, inv.class))
	case chosen.name == "flush" && !inv.copies:
		return inv.misused("flush takes --copies: what this director owns cannot be flushed")
	case chosen.name == "explain" && inv.argument == "":
		return inv.misused("explain takes a client's address and port, such as 10.0.0.1:5555")
	case chosen.name == "diff" && inv.argument == "":
		return inv.misused("diff takes a peer, by its name, its sender ID or its address")
	case chosen.name == "role" && (inv.instance == "" || inv.argument == ""):
		return inv.misused("role takes an instance and its role, such as --instance VI_1 master")
	}
	err = chosen.run(inv)
	switch {
	case errors.Is(err, errMisused):
		return inv.misused(err.Error())
	case errors.Is(err, errDiffers):
		return exitDiffers
	}
	if err != nil && !errors.Is(err, errFindings) {
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintf(stderr, "%sssyncpd: %s\n", inv.priority(slog.LevelError), strings.TrimSuffix(line, "\n"))
		}
	}
	switch {
	case err == nil:
		return exitOK
	case chosen.name == "diff":
		return exitNotCompared
	default:
		return exitFailed
	}
}

// withJSON names the commands that know --json.
func withJSON() string {
	var names []string
	for _, c := range commands {
		if c.json {
			names = append(names, c.name)
		}
	}
	return strings.Join(names, ", ")
}

// newInvocation has all flags, which are not parsed yet.
func newInvocation(version string, stdout, stderr io.Writer) *invocation {
	inv := &invocation{commands: commands, version: version, stdout: stdout, stderr: stderr, journal: isJournal(stderr)}
	inv.flags = pflag.NewFlagSet("ssyncpd", pflag.ContinueOnError)
	inv.flags.SetOutput(stderr)
	inv.flags.SortFlags = false
	inv.flags.Usage = func() {}
	config.Flags(inv.flags)
	inv.flags.BoolVar(&inv.json, jsonFlag, false, withJSON()+": JSON instead of text")
	inv.flags.StringVar(&inv.virtual, "virtual", "", "explain: only connections to this virtual `service`, such as 192.0.2.80:80")
	inv.flags.StringVar(&inv.protocol, "protocol", "", "explain: only connections of this `protocol`: tcp, udp, sctp or a number")
	inv.flags.BoolVar(&inv.copies, "copies", false, "flush: copies, which is all that can be flushed")
	inv.flags.StringVar(&inv.class, classFlag, classIPVS, strings.Join(withClass, ", ")+": `ipvs|conntrack`, the class of connections; diff compares all that are carried where none is named")
	inv.flags.StringVar(&inv.instance, instanceFlag, "", "role: `name` of the vrrp_instance")
	inv.flags.BoolVar(&inv.showVersion, "version", false, "show the version and exit")
	return inv
}

func (inv *invocation) misused(what string) int {
	fmt.Fprintf(inv.stderr, "ssyncpd: %s; see ssyncpd --help\n", what)
	return exitUsage
}

func usage(flags *pflag.FlagSet) string {
	var b strings.Builder
	b.WriteString("ssyncpd keeps the connections of IPVS directors in step.\n\nUsage: ssyncpd [command] [flags]\n\nCommands:\n")
	for _, c := range commands {
		name := c.name
		if c.argument != "" {
			name += " [" + c.argument + "]"
		}
		fmt.Fprintf(&b, "  %-18s%s\n", name, c.usage)
	}
	fmt.Fprintf(&b, "\nFlags (beat the environment, SSYNCP_DEVICE_PERIOD and so on, which beats the file):\n%s", flags.FlagUsages())
	return b.String()
}

// run is the daemon.
func run(inv *invocation) error {
	keepSmall()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	context.AfterFunc(ctx, stop) // a second one ends it at once
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGHUP, syscall.SIGUSR1)
	defer signal.Stop(signals)
	return daemon.Run(ctx, daemon.Options{
		Version: describe(inv.version),
		Load:    func() (config.Config, error) { return config.Load(inv.flags) },
		Open:    func(path string) (ipvsdevice.Device, error) { return chardev.Open(path) },
		Signals: signals,
		Log:     inv.stderr,
		Journal: inv.journal,
	})
}
