package command_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ssyncp/ssyncp/internal/keyring"
)

func TestKeygen(t *testing.T) {
	directory := t.TempDir()
	t.Chdir(directory)
	file := func(name string) string { return filepath.Join(directory, name) }
	if err := os.WriteFile(file("broken.toml"), []byte("[wire\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string
		path string
		more bool // says when it is used
	}{
		{"the configured file", []string{"keygen", "--wire-key-file", file("a")}, "a", false},
		{"that file by its name", []string{"keygen", file("b"), "--wire-key-file", file("b")}, "b", false},
		{"another file", []string{"keygen", file("c")}, "c", true},
		{"a relative path", []string{"keygen", "d"}, "d", true},
		{"another file beside a broken configuration", []string{"keygen", file("e"), "--config", file("broken.toml")}, "e", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			code, stdout, stderr := execute(tt.args...)
			if code != 0 || stderr != "" {
				t.Fatalf("%d: %s", code, stderr)
			}
			path := file(tt.path)
			key, err := keyring.Read(path)
			if err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			_, secret, _ := strings.Cut(strings.TrimSpace(string(text)), ":")
			if strings.Contains(stdout, secret) {
				t.Error("shows the key")
			}
			for _, want := range []string{"made key " + key.ID().String() + " in " + path + "\n", "copy it to every other director"} {
				if !strings.Contains(stdout, want) {
					t.Errorf("no %q in %q", want, stdout)
				}
			}
			if more := strings.Contains(stdout, "It is used when wire.key_file names it"); more != tt.more {
				t.Errorf("got %q", stdout)
			}

			// Once more: it is there.
			if code, stdout, stderr := execute(tt.args...); code != 1 || stdout != "" || !strings.Contains(stderr, "not overwritten") {
				t.Errorf("again: %d: %q, %q", code, stdout, stderr)
			}
			if again, err := os.ReadFile(path); err != nil || string(again) != string(text) {
				t.Errorf("the file that was there: %q, %v", again, err)
			}
		})
	}
	if code, _, stderr := execute("keygen", "--config", file("broken.toml")); code != 1 || !strings.Contains(stderr, "broken.toml:1:") {
		t.Errorf("broken configuration: %d: %s", code, stderr)
	}
}
