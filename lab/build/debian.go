package build

import (
	"context"
	"strings"
)

// Disk makes a disk with Debian 12 and a kernel on it, and returns its path.
func Disk(ctx context.Context, k Kernel) (string, error) {
	out, err := run(ctx, nil, "lab/debian/make-disk", k.Name)
	return strings.TrimSpace(out), err
}

// Packages makes the Debian packages of this repository in a directory, of a
// version, or of its own where that is "".
func Packages(ctx context.Context, directory, version string) error {
	_, err := run(ctx, []string{"VERSION=" + version}, "contrib/deb", directory, "--build=binary")
	return err
}
