package guest

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/ssyncp/ssyncp/lab/devicefuzz"
)

// The kernel's own modules that the tests use without IPVS or the network
// asking for them.
var modules = []string{"ip_vs", "ip_vs_rr", "ip_vs_wlc", "ipip", "veth", "bridge"}

func TestMain(m *testing.M) {
	if !inGuest() {
		fmt.Println("guest tests run in a guest: make guest")
		os.Exit(0)
	}
	if status, is := devicefuzz.Child(); is {
		os.Exit(status)
	}
	if out, err := modprobe("-a", modules...); err != nil {
		fmt.Printf("modprobe: %v\n%s", err, out)
		os.Exit(1)
	}
	os.Exit(max(m.Run(), leaks(), watched()))
}

// inGuest reports whether the machine booted with the lab's image, so that the
// tests cannot touch the network of anything else.
func inGuest() bool {
	text, err := os.ReadFile("/proc/1/cmdline")
	return err == nil && strings.Contains(string(text), "/init") && exists("/bin/agent")
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
