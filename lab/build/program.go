package build

import (
	"context"
	"path"
	"path/filepath"
)

// Programs run in guests without libraries.
var static = []string{"CGO_ENABLED=0"}

// Program builds a command, named by its directory such as "./cmd/ssyncpd".
func Program(ctx context.Context, directory string) (string, error) {
	return compile(ctx, path.Base(directory), "build", directory)
}

// Test builds the tests of a package, such as "./lab/guest", as a program.
func Test(ctx context.Context, directory string) (string, error) {
	return compile(ctx, path.Base(directory)+".test", "test", directory, "-c")
}

func compile(ctx context.Context, name, verb, directory string, flags ...string) (string, error) {
	bin, err := Cache("bin")
	if err != nil {
		return "", err
	}
	out := filepath.Join(bin, name)
	args := append([]string{verb, "-trimpath", "-ldflags=-s -w", "-o", out}, flags...)
	if _, err := run(ctx, static, "go", append(args, directory)...); err != nil {
		return "", err
	}
	return out, nil
}
