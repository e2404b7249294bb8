// Package build makes what a guest is made of: kernels, the module, programs.
// Everything lands under .cache in the repository and is made again only when
// its sources changed.
package build

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Root returns the top of the repository that the working directory is in.
func Root() (string, error) {
	directory, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for at := directory; ; at = filepath.Dir(at) {
		_, err := os.Stat(filepath.Join(at, "go.mod"))
		if err == nil {
			return at, nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return "", err
		}
		if at == filepath.Dir(at) {
			return "", fmt.Errorf("build: no go.mod above %s: run this inside the repository", directory)
		}
	}
}

// Cache returns a directory under .cache, made if it is not there.
func Cache(name ...string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	directory := filepath.Join(append([]string{root, ".cache"}, name...)...)
	return directory, os.MkdirAll(directory, 0o755)
}

// run runs a tool at the top of the repository and returns its output. What it
// says on standard error is part of the error.
func run(ctx context.Context, env []string, name string, args ...string) (string, error) {
	root, err := Root()
	if err != nil {
		return "", err
	}
	var said strings.Builder
	command := exec.CommandContext(ctx, name, args...)
	command.Dir = root
	command.Env = append(os.Environ(), env...)
	command.Stderr = &said
	out, err := command.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s%s", strings.Join(command.Args, " "), err, out, said.String())
	}
	return string(out), nil
}
