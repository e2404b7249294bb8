package command_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ssyncp/ssyncp/internal/command"
)

// execute runs a command and returns its exit code and output.
func execute(args ...string) (code int, stdout, stderr string) {
	var out, log strings.Builder
	code = command.Main(args, "1.2.3", &out, &log)
	return code, out.String(), log.String()
}

// Commands that need the device are tried where there is none.
func TestCommands(t *testing.T) {
	dir := t.TempDir()
	valid := filepath.Join(dir, "valid.toml")
	if err := os.WriteFile(valid, []byte("sync_id = 7\n[device]\npath = '"+dir+"/none'\n[multicast]\ninterface = 'lo'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name           string
		args           string
		code           int
		stdout, stderr string // part of it; "" is nothing at all
	}{
		{"version", "--version", 0, "ssyncpd 1.2.3 (device ABI 1, protocol version 1, go", ""},
		{"help", "--help", 0, "check-config", ""},
		{"valid configuration", "check-config --wire-version 1 --config " + valid, 0, "configuration is valid: sync ID 7, " + dir + "/none every 100ms, 224.0.0.81 on lo, at most 10000 adverts/s\n", ""},
		{"flags before the command", "--wire-version 1 --config " + valid + " check-config", 0, "configuration is valid", ""},
		{"wrong configuration", "check-config --sync-id 0 --multicast-ttl 1 --config " + valid, 1, "", "ssyncpd: flag --sync-id: sync_id = \"0\": out of range"},
		{"a line for every problem", "check-config --sync-id 0 --multicast-ttl 1 --config " + valid, 1, "", "\nssyncpd: flag --multicast-ttl: multicast.ttl = \"1\": must be 255"},
		{"configuration of the daemon", "--sync-id 256 --config " + valid, 1, "", "sync_id = \"256\""},
		{"version 2 without its key", "--wire-key-file " + dir + "/key --config " + valid, 1, "", dir + "/key: "},
		{"dump without a module", "dump --config " + valid, 1, "", "is the kernel module loaded? (modprobe ssyncp)"},
		{"stats without a module", "stats --json --config " + valid, 1, "", "is the kernel module loaded? (modprobe ssyncp)"},
		{"dump of what is no device", "dump --device-path " + valid, 1, "", "not the device of the ssyncp kernel module"},
		{"dump of a class that there is not", "dump --class arp", 2, "", `--class is ipvs or conntrack, not "arp"`},
		{"a class of something else", "stats --class conntrack", 2, "", "--class is for dump"},
		{"argument too many for one that takes one", "keygen a b", 2, "", `keygen takes one argument: "b"`},
		{"unknown command", "frob", 2, "", `unknown command "frob"`},
		{"argument too many", "check-config now", 2, "", `check-config takes no argument: "now"`},
		{"unknown flag", "--frob", 2, "", "unknown flag: --frob"},
		{"JSON of the daemon", "--json", 2, "", "--json is for config, status, explain, diff, flush, doctor, dump, stats"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := execute(strings.Fields(tt.args)...)
			if code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			for _, out := range []struct{ name, got, want string }{
				{"stdout", stdout, tt.stdout}, {"stderr", stderr, tt.stderr},
			} {
				if !strings.Contains(out.got, out.want) || out.want == "" && out.got != "" {
					t.Errorf("%s: %q, want %q in it", out.name, out.got, out.want)
				}
			}
		})
	}
}

func TestVersionWithoutTheLinker(t *testing.T) {
	var stdout, stderr strings.Builder
	if code := command.Main([]string{"--version"}, "", &stdout, &stderr); code != 0 || strings.HasPrefix(stdout.String(), "ssyncpd  (") {
		t.Errorf("%d: %q", code, stdout.String())
	}
}
