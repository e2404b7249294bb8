package image

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// An archive writes a cpio archive of the "newc" kind, as
// Documentation/driver-api/early-userspace/buffer-format.rst of the kernel has it. Parents of a file
// are made as needed, everything belongs to root and bears no time, so that
// equal content makes equal archives.
type archive struct {
	out   *bufio.Writer
	made  map[string]bool
	inode int
	err   error
}

const (
	kindDirectory = 0o040000
	kindFile      = 0o100000
	kindLink      = 0o120000
)

func newArchive(w io.Writer) *archive {
	return &archive{out: bufio.NewWriterSize(w, 1<<20), made: map[string]bool{".": true}}
}

// close writes the trailer and returns the first error of all that went before.
func (a *archive) close() error {
	a.entry("TRAILER!!!", 0, 0, strings.NewReader(""))
	if a.err != nil {
		return a.err
	}
	return a.out.Flush()
}

func (a *archive) directory(name string) {
	name = clean(name)
	if a.made[name] {
		return
	}
	a.directory(path.Dir(name))
	a.made[name] = true
	a.entry(name, kindDirectory|0o755, 0, strings.NewReader(""))
}

func (a *archive) link(name, target string) {
	if name = a.claim(name); name != "" {
		a.entry(name, kindLink|0o777, int64(len(target)), strings.NewReader(target))
	}
}

func (a *archive) text(name string, mode int, content string) {
	if name = a.claim(name); name != "" {
		a.entry(name, kindFile|mode, int64(len(content)), strings.NewReader(content))
	}
}

// file adds a file of the host under another name, with its permissions.
func (a *archive) file(name, source string) {
	if name = a.claim(name); name == "" || a.err != nil {
		return
	}
	f, err := os.Open(source)
	if err != nil {
		a.err = err
		return
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		a.err = err
		return
	}
	a.entry(name, kindFile|int(info.Mode().Perm()), info.Size(), f)
}

// claim makes the parents of a name and returns it clean, or empty where the
// archive has it already.
func (a *archive) claim(name string) string {
	name = clean(name)
	if a.made[name] {
		return ""
	}
	a.directory(path.Dir(name))
	a.made[name] = true
	return name
}

func clean(name string) string { return path.Clean(strings.TrimPrefix(name, "/")) }

func (a *archive) entry(name string, mode int, size int64, content io.Reader) {
	if a.err != nil {
		return
	}
	a.inode++
	header := fmt.Sprintf("070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		a.inode, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, len(name)+1, 0)
	a.out.WriteString(header)
	a.out.WriteString(name)
	a.pad(len(header)+len(name)+1, 1)
	n, err := io.Copy(a.out, content)
	if err == nil && n != size {
		err = fmt.Errorf("image: %s changed while it was read: %d bytes of %d", name, n, size)
	}
	if err != nil {
		a.err = err
		return
	}
	a.pad(int(size), 0)
}

// pad writes least zero bytes or more, up to a multiple of four after length,
// which counts those least bytes.
func (a *archive) pad(length, least int) {
	for range least + -length&3 {
		a.out.WriteByte(0)
	}
}
