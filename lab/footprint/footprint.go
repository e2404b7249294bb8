// Package footprint measures what a daemon and the kernel module hold in memory.
//
// The module allocates from caches that it shares with the rest of the kernel,
// which say how full they are, and not by whom. Where the kernel booted with
// slub_debug=U for them it notes who allocated each object.
package footprint

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// ErrNotNoted says that the kernel does not note who allocates from a cache.
var ErrNotNoted = errors.New("footprint: the kernel notes no users of its slab caches: boot it with slub_debug=U for these")

// Where the kernel keeps what is read here.
const (
	noted   = "/sys/kernel/debug/slab"
	caches  = "/sys/kernel/slab"
	meminfo = "/proc/meminfo"
)

// Objects are allocated, and not freed.
type Objects struct {
	Count int
	Bytes int
}

// Memory is what of a process is in memory, in bytes.
type Memory struct {
	Resident  int
	Anonymous int // of that, what is not of a file: the program's own data
}

// Of returns the memory of a process.
func Of(pid int) (m Memory, err error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return m, fmt.Errorf("footprint: %w", err)
	}
	if m.Resident, err = kilobytes(text, "VmRSS"); err != nil {
		return m, err
	}
	m.Anonymous, err = kilobytes(text, "RssAnon")
	return m, err
}

// Unreclaimable returns the memory of slab caches and large allocations that the
// kernel cannot get back by asking, of all its parts, in bytes.
func Unreclaimable() (int, error) {
	text, err := os.ReadFile(meminfo)
	if err != nil {
		return 0, fmt.Errorf("footprint: %w", err)
	}
	return kilobytes(text, "SUnreclaim")
}

// kilobytes reads a line such as "VmRSS:	   14452 kB".
func kilobytes(text []byte, name string) (int, error) {
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		key, value, _ := strings.Cut(lines.Text(), ":")
		if key != name {
			continue
		}
		n, err := strconv.Atoi(strings.TrimSuffix(strings.TrimSpace(value), " kB"))
		if err != nil {
			return 0, fmt.Errorf("footprint: %q: %w", lines.Text(), err)
		}
		return n << 10, nil
	}
	return 0, fmt.Errorf("footprint: no %s in:\n%s", name, text)
}

// In returns the objects of one cache, whoever has them.
func In(cache string) (Objects, error) {
	return objects(cache, func(allocation) bool { return true })
}

// OfModule returns what a module has in all caches of kmalloc() whose users are
// noted.
func OfModule(module string) (Objects, error) {
	found, err := filepath.Glob(filepath.Join(noted, "kmalloc*"))
	if err != nil {
		return Objects{}, fmt.Errorf("footprint: %w", err)
	}
	if len(found) == 0 {
		return Objects{}, ErrNotNoted
	}
	var all Objects
	for _, path := range found {
		held, err := objects(filepath.Base(path), func(a allocation) bool { return a.by(module) })
		if err != nil {
			return Objects{}, err
		}
		all.Count, all.Bytes = all.Count+held.Count, all.Bytes+held.Bytes
	}
	return all, nil
}

func objects(cache string, counts func(allocation) bool) (Objects, error) {
	text, err := os.ReadFile(filepath.Join(noted, cache, "alloc_traces"))
	if errors.Is(err, fs.ErrNotExist) {
		return Objects{}, fmt.Errorf("%s: %w", cache, ErrNotNoted)
	}
	if err != nil {
		return Objects{}, fmt.Errorf("footprint: %w", err)
	}
	allocations, err := parse(text)
	if err != nil {
		return Objects{}, fmt.Errorf("%s: %w", cache, err)
	}
	text, err = os.ReadFile(filepath.Join(caches, cache, "object_size"))
	if err != nil {
		return Objects{}, fmt.Errorf("footprint: %w", err)
	}
	size, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return Objects{}, fmt.Errorf("footprint: %s: %w", cache, err)
	}
	var all Objects
	for _, a := range allocations {
		if counts(a) {
			all.Count += a.count
			all.Bytes += a.count * size
		}
	}
	return all, nil
}
