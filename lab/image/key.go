package image

import (
	"crypto/sha256"
	"fmt"
	"os"
	"strings"

	"github.com/ssyncp/ssyncp/lab/build"
)

// baseKey says what a base is made of: the kernel's package, this package's own
// lists, and the host's programs and libraries by name, size and time.
func baseKey(k build.Kernel, programs []program) (string, error) {
	h := sha256.New()
	fmt.Fprintln(h, k.Release, k.Version, initScript, kernelModules, directories)
	for _, p := range programs {
		for _, file := range append([]string{p.path}, p.libraries...) {
			info, err := os.Stat(file)
			if err != nil {
				return "", fmt.Errorf("image: %w", err)
			}
			fmt.Fprintln(h, file, info.Size(), info.ModTime().UnixNano())
		}
		fmt.Fprintln(h, strings.Join(p.applets, " "))
	}
	return fmt.Sprintf("%x\n", h.Sum(nil)), nil
}
