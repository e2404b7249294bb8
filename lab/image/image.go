// Package image makes the initramfs of a guest: busybox, the network tools with
// their libraries, the kernel's modules, and on top whatever a run adds.
package image

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"

	"github.com/ssyncp/ssyncp/lab/build"
)

// Where things are in a guest.
const (
	Agent      = "/bin/agent"
	Module     = "/lib/modules/ssyncp.ko"
	Interposer = "/lib/modules/interposer.ko"
	Bare       = "/lib/modules/bare.ko" // of the benchmark
	Daemon     = "/usr/sbin/ssyncpd"
)

// A Spec says what is in an image.
type Spec struct {
	Kernel build.Kernel
	Files  map[string]string // path in the guest: file of the host
}

// Write writes the image into a file. The part below Files is cached for each
// kernel: it takes a second or two, and once only.
func Write(ctx context.Context, spec Spec, out string) error {
	base, err := cachedBase(ctx, spec.Kernel)
	if err != nil {
		return err
	}
	agent, err := build.Program(ctx, "./lab/cmd/agent")
	if err != nil {
		return err
	}
	f, err := os.Create(out)
	if err != nil {
		return err
	}
	defer f.Close()

	// The kernel unpacks archives that follow each other, one over the other.
	below, err := os.Open(base)
	if err != nil {
		return err
	}
	defer below.Close()
	if _, err := io.Copy(f, below); err != nil {
		return fmt.Errorf("image: copy %s: %w", base, err)
	}
	top := newArchive(f)
	top.file(Agent, agent)
	for _, name := range sortedKeys(spec.Files) {
		top.file(name, spec.Files[name])
	}
	if err := top.close(); err != nil {
		return fmt.Errorf("image: %w", err)
	}
	return f.Close()
}

func sortedKeys(m map[string]string) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// cachedBase returns the archive of everything but a run's own files.
func cachedBase(ctx context.Context, k build.Kernel) (string, error) {
	cache, err := build.Cache("image")
	if err != nil {
		return "", err
	}
	programs, err := findPrograms(ctx)
	if err != nil {
		return "", err
	}
	key, err := baseKey(k, programs)
	if err != nil {
		return "", err
	}
	out := filepath.Join(cache, k.Name+".cpio")
	if old, err := os.ReadFile(out + ".key"); err == nil && string(old) == key {
		return out, nil
	}

	// Renamed when complete: others may be reading the old one.
	f, err := os.CreateTemp(cache, k.Name+".*.tmp")
	if err != nil {
		return "", err
	}
	defer os.Remove(f.Name())
	defer f.Close()
	a := newArchive(f)
	addSkeleton(a)
	addPrograms(a, programs)
	if err := addModules(ctx, a, k); err != nil {
		return "", err
	}
	if err := a.close(); err != nil {
		return "", fmt.Errorf("image: %w", err)
	}
	if err := f.Close(); err != nil {
		return "", err
	}
	if err := os.Rename(f.Name(), out); err != nil {
		return "", err
	}
	return out, os.WriteFile(out+".key", []byte(key), 0o644)
}
