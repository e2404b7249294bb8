package image

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestArchiveIsReadByCpio(t *testing.T) {
	directory := t.TempDir()
	source := filepath.Join(directory, "program")
	if err := os.WriteFile(source, []byte("12345"), 0o750); err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	a := newArchive(&b)
	a.directory("/dev")
	a.text("/etc/hosts", 0o644, "127.0.0.1 localhost\n")
	a.file("/usr/sbin/program", source)
	a.link("/bin/sh", "/bin/busybox")
	a.link("/etc/hosts", "/never/mind") // the name is taken
	if err := a.close(); err != nil {
		t.Fatal(err)
	}

	command := exec.Command("cpio", "--extract", "--make-directories", "--no-absolute-filenames", "--quiet")
	command.Dir = directory
	command.Stdin = &b
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("cpio: %v\n%s", err, out)
	}
	for name, want := range map[string]string{"etc/hosts": "127.0.0.1 localhost\n", "usr/sbin/program": "12345"} {
		if got, err := os.ReadFile(filepath.Join(directory, name)); err != nil || string(got) != want {
			t.Errorf("%s is %q (%v), want %q", name, got, err, want)
		}
	}
	if to, err := os.Readlink(filepath.Join(directory, "bin/sh")); err != nil || to != "/bin/busybox" {
		t.Errorf("bin/sh leads to %q (%v)", to, err)
	}
	if info, err := os.Stat(filepath.Join(directory, "usr/sbin/program")); err != nil || info.Mode().Perm() != 0o750 {
		t.Errorf("the program's mode: %v (%v)", info.Mode(), err)
	}
	if info, err := os.Stat(filepath.Join(directory, "dev")); err != nil || !info.IsDir() {
		t.Errorf("dev is no directory (%v)", err)
	}
}

func TestArchivesOfEqualContentAreEqual(t *testing.T) {
	build := func() string {
		var b strings.Builder
		a := newArchive(&b)
		addSkeleton(a)
		if err := a.close(); err != nil {
			t.Fatal(err)
		}
		return b.String()
	}
	if first, second := build(), build(); first != second {
		t.Error("two archives of the same differ")
	}
}

func TestArchiveReportsAMissingFile(t *testing.T) {
	a := newArchive(&bytes.Buffer{})
	a.file("/bin/program", filepath.Join(t.TempDir(), "nothing"))
	if err := a.close(); !os.IsNotExist(err) {
		t.Errorf("close says %v, want that the file does not exist", err)
	}
}
