package build

import (
	"context"
	"os"
	"path/filepath"
	"strings"
)

// A Kernel of the table lab/kernels, fetched.
type Kernel struct {
	Name    string // as in the table
	Release string // uname -r
	Version string // of its package
	Image   string // vmlinuz
	Modules string // directory: its lib/modules/RELEASE
	Headers string // KDIR of an external module
}

// FetchKernel gets a kernel; an empty name means the default one.
func FetchKernel(ctx context.Context, name string) (Kernel, error) {
	out, err := run(ctx, nil, "lab/fetch-kernel", name)
	if err != nil {
		return Kernel{}, err
	}
	directory := strings.TrimSpace(out)
	k := Kernel{
		Name:    filepath.Base(directory),
		Image:   filepath.Join(directory, "vmlinuz"),
		Modules: filepath.Join(directory, "modules"),
		Headers: filepath.Join(directory, "build"),
	}
	for file, to := range map[string]*string{"release": &k.Release, "version": &k.Version} {
		text, err := os.ReadFile(filepath.Join(directory, file))
		if err != nil {
			return Kernel{}, err
		}
		*to = strings.TrimSpace(string(text))
	}
	return k, nil
}

// Module builds ssyncp.ko for a kernel, apart from the source directory so that
// builds for several kernels do not meet, and returns its path.
func Module(ctx context.Context, k Kernel) (string, error) {
	return module(ctx, k, "kmod", "ssyncp.ko")
}

// Interposer builds interposer.ko for a kernel: somebody else in the place that
// ssyncp.ko takes.
func Interposer(ctx context.Context, k Kernel) (string, error) {
	return module(ctx, k, "lab/interposer", "interposer.ko")
}

// BareModule builds the module that the benchmark measures IPVS alone with.
func BareModule(ctx context.Context, k Kernel) (string, error) {
	return module(ctx, k, "lab/bench/bare", "bare.ko")
}

func module(ctx context.Context, k Kernel, sources, name string) (string, error) {
	directory, err := Cache("kmod", k.Name)
	if err != nil {
		return "", err
	}
	if _, err := run(ctx, nil, "lab/build-module", sources, k.Headers, directory); err != nil {
		return "", err
	}
	return filepath.Join(directory, sources, name), nil
}
