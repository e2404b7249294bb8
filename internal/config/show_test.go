package config_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/ssyncp/ssyncp/internal/config"
)

// show returns the settings by their keys.
func show(t *testing.T, content string, args ...string) (map[string]config.Setting, string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "ssyncpd.toml")
	if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	list, err := config.Show(flags(t, append([]string{"--config", file}, args...)...))
	if err != nil {
		t.Fatal(err)
	}
	settings := map[string]config.Setting{}
	for _, s := range list {
		settings[s.Key] = s
	}
	return settings, file
}

func TestEverySettingIsShownWithItsSource(t *testing.T) {
	t.Setenv("SSYNCP_WIRE_NAME", "lb1")
	t.Setenv("SSYNCP_DEVICE_PERIOD", "3s")
	t.Setenv("SSYNCP_WIRE_AUTH", "") // is not set
	got, file := show(t, minimal+"max_pps = 10000\n[filter]\nprotocols = ['udp', 'TCP']\n[device]\nperiod = '2s'\n", "--device-period=0h0m4s", "--filter-states=established,udp")
	for _, want := range []config.Setting{
		{Key: "sync_id", Value: 7, Source: config.FromFile, Origin: file},
		{Key: "device.period", Value: "4s", Source: config.FromFlag, Origin: "--device-period"},
		{Key: "multicast.max_pps", Value: 10000, Source: config.FromFile, Origin: file}, // the default, and yet set
		{Key: "multicast.group", Value: "224.0.0.81", Source: config.FromDefault},
		{Key: "wire.name", Value: "lb1", Source: config.FromEnvironment, Origin: "SSYNCP_WIRE_NAME"},
		{Key: "wire.auth", Value: "psk", Source: config.FromDefault},
		{Key: "filter.protocols", Value: []string{"udp", "tcp"}, Source: config.FromFile, Origin: file},
		{Key: "filter.states", Value: []string{"ESTABLISHED", "UDP"}, Source: config.FromFlag, Origin: "--filter-states"},
		{Key: "filter.templates_only", Value: false, Source: config.FromDefault},
		{Key: "links", Value: []string{}, Source: config.FromDefault},
		{Key: "metrics.listen", Value: "", Source: config.FromDefault},
		{Key: "log.level", Value: "info", Source: config.FromDefault},
	} {
		if is := got[want.Key]; fmt.Sprintf("%+v", is) != fmt.Sprintf("%+v", want) {
			t.Errorf("got  %+v\nwant %+v", is, want)
		}
	}
	for key, s := range got {
		if s.Value == nil {
			t.Errorf("%s has no value", key)
		}
	}
}

// What is shown can be given back, and is the same then.
func TestWhatIsShownMeansTheSame(t *testing.T) {
	const links = "eth1,group=ff12::81,udp_port=7114,ttl=255;eth2,peers=10.0.0.2+10.0.0.3,ttl=64"
	got, _ := show(t, "sync_id = 7\n", "--links="+links, "--metrics-listen=unix:/run/m.sock", "--filter-services=[2001:db8::80]:443,fwmark:5")
	if is := fmt.Sprintf("%v", got["links"].Value); is != "[eth1,group=ff12::81,udp_port=7114,ttl=255 eth2,peers=10.0.0.2+10.0.0.3,ttl=64]" {
		t.Errorf("links: %s", is)
	}
	if is := got["metrics.listen"].Value; is != "unix:/run/m.sock" {
		t.Errorf("metrics.listen: %v", is)
	}
	if is := fmt.Sprint(got["filter.services"].Value); is != "[[2001:db8::80]:443 fwmark:5]" {
		t.Errorf("filter.services: %v", is)
	}
}

func TestNothingIsShownOfABrokenConfiguration(t *testing.T) {
	list, err := config.Show(flags(t, "--sync-id=300", "--multicast-interface=eth1"))
	var wrong *config.Error
	if list != nil || !errors.As(err, &wrong) || wrong.Problems[0].Key != "sync_id" {
		t.Errorf("%v, %v", list, err)
	}
	if _, err := config.Show(flags(t, "--config=/nonexistent/ssyncpd.toml")); !errors.As(err, &wrong) {
		t.Error(err)
	}
}
