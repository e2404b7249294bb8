package config_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"go.yaml.in/yaml/v3"

	"github.com/ssyncp/ssyncp/internal/config"
)

// loadYAML is load of a file in YAML.
func loadYAML(t *testing.T, content string) (config.Config, string, error) {
	t.Helper()
	return loadAs(t, "ssyncpd.yaml", content)
}

func TestAFileInYAMLSaysTheSame(t *testing.T) {
	links := `
sync_id = 7
[[links]]
interface = "eth1"
[[links]]
interface = "eth2"
peers = ["10.0.0.2", "10.0.0.3"]
udp_port = 8114
`
	for name, text := range map[string]string{"every key": everyKey, "links": links} {
		t.Run(name, func(t *testing.T) {
			var document map[string]any
			if err := toml.Unmarshal([]byte(text), &document); err != nil {
				t.Fatal(err)
			}
			inYAML, err := yaml.Marshal(document)
			if err != nil {
				t.Fatal(err)
			}
			want, _, err := load(t, text)
			if err != nil {
				t.Fatal(err)
			}
			got, _, err := loadYAML(t, string(inYAML))
			if err != nil || !reflect.DeepEqual(got, want) {
				t.Errorf("%s\ngot  %+v, %v\nwant %+v", inYAML, got, err, want)
			}
		})
	}
}

func TestRefusedInYAML(t *testing.T) {
	const rest = "\nmulticast:\n  interface: eth1\n"
	for _, tt := range []struct{ name, text, key, want string }{
		{"an unknown key", "sync_id: 7\ncolour: red" + rest, "colour", "unknown key"},
		{"a key in capitals", "Sync_ID: 7" + rest, "Sync_ID", "write sync_id"},
		{"a key without a value", "sync_id: 7\nlog:\n  level:" + rest, "log.level", "has no value"},
		{"a number for a duration", "sync_id: 7\ndevice:\n  period: 5" + rest, "device.period", ""},
		{"two documents", "sync_id: 7" + rest + "---\nsync_id: 8\n", "", "several documents"},
		{"a key twice", "sync_id: 7\nsync_id: 8" + rest, "", "already defined"},
		{"a list", "- sync_id\n", "", "not valid YAML"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, file, err := loadYAML(t, tt.text)
			var wrong *config.Error
			if !errors.As(err, &wrong) || !strings.Contains(err.Error(), tt.want) || wrong.Problems[0].Key != tt.key ||
				!strings.HasPrefix(wrong.Problems[0].Origin, file) {
				t.Errorf("%#v", err)
			}
		})
	}
}
