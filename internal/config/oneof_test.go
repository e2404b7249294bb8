package config

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheDefaultFileIsInEitherFormat(t *testing.T) {
	for _, tt := range []struct{ there, want, wrong string }{
		{"", "ssyncpd.toml", ""},
		{"ssyncpd.toml", "ssyncpd.toml", ""},
		{"ssyncpd.yaml", "ssyncpd.yaml", ""},
		{"ssyncpd.yml", "ssyncpd.yml", ""},
		{"ssyncpd.toml ssyncpd.yaml", "ssyncpd.toml", "ssyncpd.yaml"},
	} {
		t.Run(tt.there, func(t *testing.T) {
			dir := t.TempDir()
			for _, name := range strings.Fields(tt.there) {
				if err := os.WriteFile(filepath.Join(dir, name), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			got, wrong := oneOf(filepath.Join(dir, "ssyncpd.toml"))
			if got != filepath.Join(dir, tt.want) || (len(wrong) > 0) != (tt.wrong != "") {
				t.Fatalf("%s, %v", got, wrong)
			}
			if tt.wrong != "" && !strings.Contains(wrong[0].Error(), filepath.Join(dir, tt.wrong)) {
				t.Errorf("%v does not name %s", wrong[0], tt.wrong)
			}
		})
	}
}
