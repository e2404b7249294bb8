package command_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/keyring"
)

func TestCheckConfigOfVersion2(t *testing.T) {
	directory := t.TempDir()
	first, second := filepath.Join(directory, "key"), filepath.Join(directory, "key.new")
	one, err := keyring.Create(first)
	if err != nil {
		t.Fatal(err)
	}
	two, err := keyring.Create(second)
	if err != nil {
		t.Fatal(err)
	}
	open := filepath.Join(directory, "open")
	if err := os.WriteFile(open, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o644); err != nil {
		t.Fatal(err)
	}
	tomorrow := time.Now().Add(24 * time.Hour).UTC().Format(time.RFC3339)
	for _, tt := range []struct {
		name   string
		args   []string
		code   int
		stdout []string // a part of each line
		stderr string   // part of it; "" is nothing at all
	}{
		{"the least", []string{"--multicast-interface=eth1", "--wire-key-file=" + first}, 0, []string{
			"configuration is valid: sync ID 7, /dev/ssyncp every 100ms, at most 10000 frames/s",
			"protocol version 2",
			"sends with key " + one.ID().String() + " of " + first,
			`director 42 (configured), named "lb1"`,
			"link 1: eth1, group 224.0.0.81, IP protocol 114, TTL 255",
			"waits 5s for a peer; keeps 4194304 bytes of what it sent",
			"sends templates, and connections",
		}, ""},
		{"everything", []string{"--links=eth1,peers=10.0.0.2,udp_port=7114,ttl=64;eth2", "--wire-key-file=" + first, "--wire-key-file-accepted=" + second,
			"--wire-dual-until=" + tomorrow, "--filter-protocols=tcp", "--filter-states=established,close", "--filter-services=192.0.2.80:80,fwmark:5",
			"--conntrack-enabled=true", "--conntrack-protocols=tcp,udp", "--conntrack-states=established", "--conntrack-networks=192.0.2.0/24",
			"--conntrack-except=10.0.0.1", "--conntrack-without-ipvs=true"}, 0, []string{
			"configuration is valid",
			"protocol version 2",
			"sends with key " + one.ID().String(),
			"accepts key " + two.ID().String() + " of " + second + ", too",
			"director 42",
			"link 1: eth1, peers 10.0.0.2, UDP port 7114, TTL 64",
			"link 2: eth2, group 224.0.0.81, IP protocol 114, TTL 255",
			"version 1, too, on eth2, until " + tomorrow,
			"waits 5s",
			"sends templates, and connections of TCP in state ESTABLISHED, CLOSE; of services 192.0.2.80:80, fwmark:5",
			"sends conntrack entries of TCP, UDP in state ESTABLISHED; of networks 192.0.2.0/24; except 10.0.0.1/32; without those that IPVS translates",
		}, "warning: wire.dual_until: until " + tomorrow},
		{"no authentication", []string{"--multicast-interface=eth1", "--wire-auth=none", "--filter-templates-only=true"}, 0, []string{
			"configuration is valid", "protocol version 2", "no authentication", "director 42", "link 1", "waits 5s", "sends templates only",
		}, `warning: wire.auth = "none"`},
		{"no key file", []string{"--multicast-interface=eth1", "--wire-key-file=" + directory + "/none"}, 1, nil, "make one with `ssyncpd keygen " + directory + "/none`"},
		{"a key file that others can read", []string{"--multicast-interface=eth1", "--wire-key-file=" + open}, 1, nil, "ssyncpd: key file " + open + ": others have access to it, its mode is 0644: chmod 600 " + open},
		{"no second key file", []string{"--multicast-interface=eth1", "--wire-key-file=" + first, "--wire-key-file-accepted=/none"}, 1, nil, "key file /none: there is no such file"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			args := append([]string{"check-config", "--sync-id=7", "--wire-version=2", "--wire-sender-id=42", "--wire-name=lb1"}, tt.args...)
			code, stdout, stderr := execute(args...)
			if code != tt.code {
				t.Errorf("exit code %d: %s", code, stderr)
			}
			if !strings.Contains(stderr, tt.stderr) || tt.stderr == "" && stderr != "" {
				t.Errorf("stderr: %q, want %q in it", stderr, tt.stderr)
			}
			lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
			if stdout == "" {
				lines = nil
			}
			if len(lines) != len(tt.stdout) {
				t.Fatalf("stdout:\n%s", stdout)
			}
			for i, line := range lines {
				if !strings.Contains(line, tt.stdout[i]) {
					t.Errorf("line %d: %q, want %q in it", i+1, line, tt.stdout[i])
				}
			}
		})
	}
}
