package command

import (
	"fmt"
	"runtime"
	"runtime/debug"

	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/wire"
)

// describe names the build, and what it speaks to kernel and peers. version is
// set by the linker; without it the build information has to do.
func describe(version string) string {
	if version == "" {
		version = built()
	}
	return fmt.Sprintf("%s (device ABI %d, protocol version %d, %s)", version, chardev.ABIVersion, wire.Version, runtime.Version())
}

func built() string {
	info, ok := debug.ReadBuildInfo()
	if !ok || info.Main.Version == "" {
		return "(devel)"
	}
	version := info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && version == "(devel)" {
			version += " " + s.Value[:min(12, len(s.Value))]
		}
	}
	return version
}
