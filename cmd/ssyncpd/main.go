// Command ssyncpd keeps the connections of IPVS directors in step: it multicasts
// those of this one, and gives those of its peers to the kernel.
package main

import (
	"os"

	"github.com/ssyncp/ssyncp/internal/command"
)

// version is set by the linker: -ldflags "-X main.version=1.2.3".
var version string

func main() {
	os.Exit(command.Main(os.Args[1:], version, os.Stdout, os.Stderr))
}
