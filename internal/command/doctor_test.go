package command_test

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ssyncp/ssyncp/internal/doctor"
	"github.com/ssyncp/ssyncp/internal/netnstest"
)

// A patient is a host with a configured link, in a namespace. It has no module,
// which is the one thing that is always found.
type patient struct {
	*netnstest.Namespace
	config, key string
}

func newPatient(t *testing.T) *patient {
	t.Helper()
	dir := t.TempDir()
	p := &patient{netnstest.New(t), filepath.Join(dir, "ssyncpd.toml"), filepath.Join(dir, "key")}
	netnstest.Pair(t, p.Namespace, "eth1", "10.0.3.11/24", netnstest.New(t), "eth1", "10.0.3.12/24")
	text := "sync_id = 7\n[multicast]\ninterface = 'eth1'\n[device]\npath = '" + dir + "/none'\n" +
		"[wire]\nkey_file = '" + p.key + "'\nsender_id = 1\nname = 'lb1'\n[admin]\nsocket = '" + dir + "/none.sock'\n"
	if err := os.WriteFile(p.config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p.run(t, "keygen")
	return p
}

// run runs this program in the namespace, and returns what it writes and its exit
// code.
func (p *patient) run(t *testing.T, args ...string) (string, int) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := exec.Command("ip", append([]string{"netns", "exec", p.Name, self, "--config", p.config}, args...)...)
	c.Env = append(os.Environ(), mainVariable+"=1")
	out, err := c.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return string(out), c.ProcessState.ExitCode()
}

func (p *patient) nft(t *testing.T, rules string) {
	t.Helper()
	c := exec.Command("ip", "netns", "exec", p.Name, "nft", "-f", "-")
	c.Stdin = strings.NewReader(rules)
	if out, err := c.CombinedOutput(); err != nil {
		t.Skipf("rules of nftables cannot be made here: %v: %s", err, out)
	}
}

func TestDoctorInANamespace(t *testing.T) {
	for _, tt := range []struct {
		name        string
		breaks      func(*testing.T, *patient)
		check, what string // "": nothing but the module is found
	}{
		{"nothing", func(*testing.T, *patient) {}, "", ""},
		{"the key is for everybody", func(t *testing.T, p *patient) {
			if err := os.Chmod(p.key, 0o644); err != nil {
				t.Fatal(err)
			}
		}, "key", "its mode is 0644"},
		{"there is no key", func(t *testing.T, p *patient) {
			if err := os.Remove(p.key); err != nil {
				t.Fatal(err)
			}
		}, "key", "there is no such file"},
		{"the configuration is wrong", func(t *testing.T, p *patient) {
			if err := os.WriteFile(p.config, []byte("sync_id = 256\n"), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "configuration", "sync_id = 256: out of range"},
		{"the link is down", func(t *testing.T, p *patient) { p.IP(t, "link set eth1 down") }, "links", "interface eth1 is down"},
		{"the link has no address", func(t *testing.T, p *patient) { p.IP(t, "address flush dev eth1") }, "links", "no IPv4 address"},
		{"rp_filter, and a second interface in the network", func(t *testing.T, p *patient) {
			netnstest.Pair(t, p.Namespace, "eth2", "10.0.3.13/24", netnstest.New(t), "eth2", "10.0.3.14/24")
			p.Set(t, "ipv4/conf/all/rp_filter", "1")
		}, "sysctl", "eth2 has an address in the network of eth1"},
		{"a policy drops what comes in", func(t *testing.T, p *patient) {
			p.nft(t, "table inet filter { chain input { type filter hook input priority 0; policy drop; }; }\n")
		}, "multicast", "(chain inet filter input, by its policy)"},
		{"a rule drops what goes out", func(t *testing.T, p *patient) {
			p.nft(t, "table inet filter { chain output { type filter hook output priority 0; meta l4proto 114 drop; }; }\n")
		}, "multicast", "before it leaves (chain inet filter output, rule"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPatient(t)
			tt.breaks(t, p)
			out, code := p.run(t, "doctor", "--json")
			var report doctor.Report
			if err := json.Unmarshal([]byte(out), &report); err != nil || code != 1 {
				t.Fatalf("exit code %d: %v\n%s", code, err, out)
			}
			seen := false
			for _, result := range report.Results {
				for _, f := range result.Findings {
					switch {
					case f.Severity == doctor.Note, result.Check == "module", result.Check == "kernel":
					case result.Check == tt.check && strings.Contains(f.What, tt.what):
						seen = true
					case tt.check == "":
						t.Errorf("%s: %s: %s", result.Check, f.Severity, f.What)
					}
				}
			}
			if !seen && tt.check != "" {
				t.Errorf("want %s: %q\n%s", tt.check, tt.what, out)
			}
		})
	}
}
