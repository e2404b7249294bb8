package command_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ssyncp/ssyncp/internal/keyring"
)

func TestConfigShow(t *testing.T) {
	directory := t.TempDir()
	key := filepath.Join(directory, "key")
	if _, err := keyring.Create(key); err != nil {
		t.Fatal(err)
	}
	secret, err := os.ReadFile(key)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(directory, "ssyncpd.toml")
	if err := os.WriteFile(file, []byte("sync_id = 7\nwire.key_file = '"+key+"'\nmulticast.interface = 'eth1'\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("SSYNCP_LOG_LEVEL", "warn")
	code, stdout, stderr := execute("config", "show", "--config="+file, "--filter-protocols=tcp,udp")
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	for _, line := range []string{
		`sync_id += 7 +file ` + file, `wire.key_file += "` + key + `" +file ` + file, `log.level += "warn" +environment SSYNCP_LOG_LEVEL`,
		`filter.protocols += \["tcp", "udp"\] +flag --filter-protocols`, `multicast.ttl += 255 +default`, `admin.socket += "/run/ssyncp/ssyncpd.sock" +default`,
	} {
		if !regexp.MustCompile(`(?m)^` + line + `$`).MatchString(stdout) {
			t.Errorf("no line %s in\n%s", line, stdout)
		}
	}
	code, document, stderr := execute("config", "show", "--json", "--config="+file)
	if code != 0 || stderr != "" {
		t.Fatalf("exit code %d: %s", code, stderr)
	}
	var settings []map[string]any
	if err := json.Unmarshal([]byte(document), &settings); err != nil {
		t.Fatal(err)
	}
	if first := settings[0]; first["key"] != "sync_id" || first["value"] != 7.0 || first["source"] != "file" || first["origin"] != file {
		t.Errorf("first: %v", first)
	}
	for _, word := range strings.Fields(string(secret)) {
		if len(word) > 20 && strings.Contains(stdout+document, word) {
			t.Error("the key is shown")
		}
	}
}

func TestConfigShowOfABrokenConfiguration(t *testing.T) {
	code, stdout, stderr := execute("config", "show", "--sync-id=300", "--multicast-interface=eth1")
	if code != 1 || stdout != "" || !strings.Contains(stderr, "flag --sync-id: sync_id = \"300\": out of range") {
		t.Errorf("exit code %d: %s%s", code, stdout, stderr)
	}
}

func TestConfigTakesAWord(t *testing.T) {
	for _, args := range [][]string{{"config"}, {"config", "edit"}} {
		if code, _, stderr := execute(args...); code != 2 || !strings.Contains(stderr, "config networks are what there is") {
			t.Errorf("%q: exit code %d: %s", args, code, stderr)
		}
	}
}
