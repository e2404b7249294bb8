package config_test

import (
	"testing"

	"github.com/ssyncp/ssyncp/internal/config"
)

func TestMetricsAreForThisHostAloneUnlessAskedFor(t *testing.T) {
	for _, tt := range []struct {
		name string
		file string
		want config.Listen
	}{
		{"off", "", config.Listen{}},
		{"IPv4", "listen = '127.0.0.1:9581'", config.Listen{Network: "tcp", Address: "127.0.0.1:9581"}},
		{"all of loopback", "listen = '127.9.9.9:9581'", config.Listen{Network: "tcp", Address: "127.9.9.9:9581"}},
		{"IPv6", "listen = '[::1]:9581'", config.Listen{Network: "tcp", Address: "[::1]:9581"}},
		{"unix", "listen = 'unix:/run/ssyncp/metrics.sock'", config.Listen{Network: "unix", Address: "/run/ssyncp/metrics.sock"}},
		{"public", "public = true\nlisten = '[::]:9581'", config.Listen{Network: "tcp", Address: "[::]:9581"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, _, err := load(t, minimal+"[metrics]\n"+tt.file)
			if err != nil || c.Metrics.Listen != tt.want {
				t.Errorf("%+v, %v", c.Metrics.Listen, err)
			}
		})
	}
}
