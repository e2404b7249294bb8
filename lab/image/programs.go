package image

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// The host's programs that guests get, all from lab/install-packages.
var programNames = []string{
	"busybox", "ip", "tc", "ss", "bridge", "ipvsadm", "nft", "tcpdump", "strace", "keepalived", "kmod",
}

// What the daemon is compared with is in a guest where this machine has it:
// lab/install-packages compare.
var comparedNames = []string{"conntrackd"}

// What kmod is called when it does the work of its parts.
var kmodNames = []string{"modprobe", "insmod", "rmmod", "lsmod", "modinfo"}

type program struct {
	path      string
	libraries []string // as the dynamic linker names them
	applets   []string // of busybox: full paths
}

func findPrograms(ctx context.Context) ([]program, error) {
	var found []program
	for _, name := range programNames {
		p, err := findProgram(ctx, name)
		if err != nil {
			return nil, err
		}
		found = append(found, p)
	}
	for _, name := range comparedNames {
		if p, err := findProgram(ctx, name); err == nil {
			found = append(found, p)
		} else if !errors.Is(err, exec.ErrNotFound) {
			return nil, err
		}
	}
	return found, nil
}

func findProgram(ctx context.Context, name string) (program, error) {
	p, err := exec.LookPath(name)
	if err != nil {
		// A user's PATH has no sbin.
		if p, err = exec.LookPath("/usr/sbin/" + name); err != nil {
			return program{}, fmt.Errorf("image: no %s on this machine: run lab/install-packages: %w", name, exec.ErrNotFound)
		}
	}
	if p, err = filepath.EvalSymlinks(p); err != nil {
		return program{}, fmt.Errorf("image: %w", err)
	}
	found := program{path: p}
	if name == "busybox" {
		out, err := exec.CommandContext(ctx, p, "--list-full").Output()
		if err != nil {
			return program{}, fmt.Errorf("image: busybox --list-full: %w", err)
		}
		found.applets = strings.Fields(string(out))
		return found, nil
	}
	found.libraries, err = libraries(ctx, p)
	return found, err
}

var libraryPath = regexp.MustCompile(`/\S+`)

// libraries asks the dynamic linker what a program needs.
func libraries(ctx context.Context, program string) ([]string, error) {
	out, err := exec.CommandContext(ctx, "ldd", program).CombinedOutput()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) && strings.Contains(string(out), "not a dynamic executable") {
			return nil, nil
		}
		return nil, fmt.Errorf("image: ldd %s: %w\n%s", program, err, out)
	}
	var found []string
	for lines := bufio.NewScanner(strings.NewReader(string(out))); lines.Scan(); {
		if file := libraryPath.FindString(lines.Text()); file != "" {
			found = append(found, file)
		}
	}
	return found, nil
}

// addPrograms puts programs under the paths that scripts expect; busybox fills
// the names that nobody else has.
func addPrograms(a *archive, programs []program) {
	var applets []string
	for _, p := range programs {
		if p.applets != nil {
			a.file("/bin/busybox", p.path)
			applets = p.applets
			continue
		}
		name := path.Base(p.path)
		directory := "/sbin"
		if path.Base(path.Dir(p.path)) == "bin" {
			directory = "/bin"
		}
		// Absolute paths found in scripts and tests: /sbin/ip on any machine.
		if name == "ip" {
			directory = "/sbin"
			a.link("/bin/ip", "/sbin/ip")
		}
		a.file(path.Join(directory, name), p.path)
		if name == "kmod" {
			for _, alias := range kmodNames {
				a.link("/sbin/"+alias, path.Join(directory, name))
			}
		}
		for _, library := range p.libraries {
			a.file(library, library)
		}
	}
	for _, applet := range applets {
		a.link(applet, "/bin/busybox")
	}
}
