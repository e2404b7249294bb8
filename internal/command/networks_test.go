package command_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNetworksOfTheLinks(t *testing.T) {
	file := filepath.Join(t.TempDir(), "ssyncpd.toml")
	if err := os.WriteFile(file, []byte("sync_id = 7\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, args, stdout, stderr string
		code                       int
	}{
		{"of an interface", "--multicast-interface lo", "127.0.0.0/8\n", "", 0},
		{"and of peers", "--links lo,peers=203.0.113.7+203.0.113.9", "203.0.113.7/32\n203.0.113.9/32\n127.0.0.0/8\n", "", 0},
		{"of an interface that is not there", "--links none0,peers=2001:db8::7", "2001:db8::7/128\n", "none0: ", 0},
		{"whoever may ask for metrics", "--multicast-interface lo --metrics-listen 192.0.2.1:9581 --metrics-public true", "0.0.0.0/0\n::/0\n", "", 0},
		{"no valid configuration", "", "", "multicast.interface", 1},
		{"not as JSON", "--json --multicast-interface lo", "", "config networks are what there is", 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := execute(append([]string{"config", "networks", "--config", file}, strings.Fields(tt.args)...)...)
			stdout = strings.ReplaceAll(stdout, "::1/128\n", "") // not where IPv6 is off
			if code != tt.code || stdout != tt.stdout || !strings.Contains(stderr, tt.stderr) {
				t.Errorf("exit %d: %q, %q", code, stdout, stderr)
			}
		})
	}
}
