package identity_test

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ssyncp/ssyncp/internal/identity"
)

func TestSenderID(t *testing.T) {
	for _, tt := range []struct {
		name string
		text string
		want uint32
		err  error
	}{
		// printf 'ssyncp sender ID' | openssl dgst -sha256 -mac HMAC -macopt hexkey:00112233445566778899aabbccddeeff
		{"a machine ID", "00112233445566778899aabbccddeeff\n", 0xbd51fee3, nil},
		{"without a newline", "00112233445566778899aabbccddeeff", 0xbd51fee3, nil},
		{"empty, as in an image", "", 0, identity.ErrMachineID},
		{"before the first boot", "uninitialized\n", 0, identity.ErrMachineID},
		{"too short", "00112233\n", 0, identity.ErrMachineID},
		{"too long", "00112233445566778899aabbccddeeff00\n", 0, identity.ErrMachineID},
		{"zeros", "00000000000000000000000000000000\n", 0, identity.ErrMachineID},
	} {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "machine-id")
			if err := os.WriteFile(file, []byte(tt.text), 0o444); err != nil {
				t.Fatal(err)
			}
			got, err := identity.SenderID(file)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %#x, %v, want %#x, %v", got, err, tt.want, tt.err)
			}
			if err != nil && !strings.Contains(err.Error(), file+": ") {
				t.Errorf("does not name the file: %v", err)
			}
		})
	}
	_, err := identity.SenderID("/nonexistent/machine-id")
	if !errors.Is(err, identity.ErrMachineID) || !errors.Is(err, fs.ErrNotExist) || !strings.Contains(err.Error(), "set wire.sender_id") {
		t.Errorf("err = %v", err)
	}
}

func TestWhatIsConfiguredIsNotDerived(t *testing.T) {
	if got, err := identity.Of(42, "lb1"); err != nil || got != (identity.Identity{SenderID: 42, Name: "lb1"}) {
		t.Errorf("got %+v, %v", got, err)
	}
	host, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	if got, err := identity.Of(42, ""); err != nil || got.Name != host {
		t.Errorf("got %+v, %v, want the name %q", got, err, host)
	}
}
