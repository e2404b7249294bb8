package contrib_test

import (
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// completions are where `make install` and the package ssyncpd have them, and
// where Debian's shells look.
var completions = map[string]string{
	"bash": "usr/share/bash-completion/completions/ssyncpd",
	"zsh":  "usr/share/zsh/vendor-completions/_ssyncpd",
	"fish": "usr/share/fish/vendor_completions.d/ssyncpd.fish",
}

// installer is a tree of what contrib/install takes, with a daemon, and where it
// installs to.
type installer struct{ tree, root string }

func newInstaller(t *testing.T) installer {
	t.Helper()
	in := installer{t.TempDir(), t.TempDir()}
	for _, name := range []string{"contrib", "kmod", "docs/man"} {
		if err := os.CopyFS(filepath.Join(in.tree, name), os.DirFS(filepath.Join("..", name))); err != nil {
			t.Fatal(err)
		}
	}
	dkms, err := os.ReadFile("../dkms.conf")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(in.tree, "dkms.conf"), dkms, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", in.daemon(), "../cmd/ssyncpd").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return in
}

func (in installer) daemon() string { return filepath.Join(in.tree, "bin/ssyncpd") }

func (in installer) run(t *testing.T, what string) {
	t.Helper()
	command := exec.Command(filepath.Join(in.tree, "contrib/install"), what)
	command.Env = append(os.Environ(), "DESTDIR="+in.root)
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", what, err, out)
	}
}

// files are those that are there.
func (in installer) files(t *testing.T) (list []string) {
	t.Helper()
	err := fs.WalkDir(os.DirFS(in.root), ".", func(path string, entry fs.DirEntry, err error) error {
		if err == nil && !entry.IsDir() {
			list = append(list, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func TestWhatIsInstalledGoesAgainButTheConfiguration(t *testing.T) {
	in := newInstaller(t)
	in.run(t, "install")
	there := in.files(t)
	for _, want := range []string{
		"usr/sbin/ssyncpd", "etc/systemd/system/ssyncpd.service", "usr/share/man/man8/ssyncpd.8", "etc/ssyncp/ssyncpd.toml",
	} {
		if !slices.Contains(there, want) {
			t.Errorf("%s was not installed", want)
		}
	}
	in.run(t, "uninstall")
	if left := in.files(t); !slices.Equal(left, []string{"etc/ssyncp/ssyncpd.toml"}) {
		t.Errorf("left behind: %q", left)
	}
}

func TestEachShellCompletesTheProgramThatIsInstalled(t *testing.T) {
	in := newInstaller(t)
	in.run(t, "install")
	for shell, path := range completions {
		want, err := exec.Command(in.daemon(), "completion", shell).Output()
		if err != nil || len(want) == 0 {
			t.Fatalf("%s: %v", shell, err)
		}
		file := filepath.Join(in.root, path)
		got, err := os.ReadFile(file)
		if err != nil || string(got) != string(want) {
			t.Errorf("%s: %v: %q", shell, err, got)
			continue
		}
		if info, err := os.Stat(file); err != nil || info.Mode() != 0o644 {
			t.Errorf("%s: %v, %v", path, info.Mode(), err)
		}
	}
}

func TestThePackageHasCompletionsWhereTheInstallerPutsThem(t *testing.T) {
	rules, err := os.ReadFile("../debian/rules")
	if err != nil {
		t.Fatal(err)
	}
	for shell, path := range completions {
		if !strings.Contains(string(rules), "/completion."+shell+" debian/ssyncpd/"+path+"\n") {
			t.Errorf("debian/rules has no %s", path)
		}
	}
}
