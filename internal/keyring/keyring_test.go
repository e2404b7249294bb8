package keyring

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// key is one for tests, told apart by its first byte.
func key(first byte) frame.Key { return frame.NewKey([frame.KeySize]byte{first, 1}) }

// put writes a key file and returns its path.
func put(t *testing.T, k frame.Key) string {
	t.Helper()
	return putText(t, frame.AppendKeyFile(nil, k), 0o600)
}

func putText(t *testing.T, text []byte, mode fs.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRead(t *testing.T) {
	text := frame.AppendKeyFile(nil, key(1))
	linked := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(put(t, key(1)), linked); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		path string
	}{
		{"mode 0600", putText(t, text, 0o600)},
		{"mode 0400", putText(t, text, 0o400)},
		{"a symbolic link to it", linked},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got, err := Read(tt.path); err != nil || got != key(1) {
				t.Errorf("got %v, %v", got, err)
			}
		})
	}
}

func TestRefused(t *testing.T) {
	text := frame.AppendKeyFile(nil, key(1))
	directory := t.TempDir()
	fifo := filepath.Join(directory, "fifo")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	loop := filepath.Join(directory, "loop")
	if err := os.Symlink("loop", loop); err != nil {
		t.Fatal(err)
	}
	long := append(append([]byte{}, text...), strings.Repeat("\n", sizeMax)...)
	for _, tt := range []struct {
		name string
		path string
		want error
		mend string // a part of the text
	}{
		{"absent", "/nonexistent/key", ErrAbsent, "ssyncpd keygen /nonexistent/key"},
		{"a loop of links", loop, ErrUnreadable, "too many levels of symbolic links"},
		{"a directory", directory, ErrNotRegular, "that `ssyncpd keygen` made"},
		{"a FIFO that nobody writes to", fifo, ErrNotRegular, "that `ssyncpd keygen` made"},
		{"a device", "/dev/zero", ErrNotRegular, "that `ssyncpd keygen` made"},
		{"readable for the group", putText(t, text, 0o640), ErrMode, "0640: chmod 600 "},
		{"readable for others", putText(t, text, 0o604), ErrMode, "0604: chmod 600 "},
		{"writable for others", putText(t, text, 0o602), ErrMode, "0602: chmod 600 "},
		{"too large", putText(t, long, 0o600), ErrSize, "is it another file?"},
		{"empty", putText(t, nil, 0o600), frame.ErrKeyFile, "move it away"},
		{"something else", putText(t, []byte("secret: xyzzy\n"), 0o600), ErrFormat, "ssyncpd keygen"},
		{"a key of zeros", putText(t, frame.AppendKeyFile(nil, frame.Key{}), 0o600), frame.ErrNoKey, "ssyncpd keygen"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Read(tt.path)
			if !errors.Is(err, tt.want) || got.Valid() {
				t.Fatalf("got %v, %v, want %v", got, err, tt.want)
			}
			for _, part := range []string{"key file " + tt.path, tt.mend} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q is not in %v", part, err)
				}
			}
			if strings.Contains(err.Error(), "xyzzy") {
				t.Errorf("gives away contents: %v", err)
			}
		})
	}
}

func TestOwner(t *testing.T) {
	for _, tt := range []struct {
		owner, user uint32
		want        error
	}{
		{0, 0, nil},
		{0, 990, nil},
		{990, 990, nil},
		{990, 0, ErrOwner},
		{1000, 990, ErrOwner},
	} {
		err := judge("/k", &unix.Stat_t{Mode: unix.S_IFREG | 0o600, Uid: tt.owner}, tt.user, noGroup)
		if !errors.Is(err, tt.want) {
			t.Errorf("of %d, for %d: %v", tt.owner, tt.user, err)
		}
		if mend := fmt.Sprintf("chown %d /k", tt.user); err != nil && !strings.Contains(err.Error(), mend) {
			t.Errorf("no %q in %v", mend, err)
		}
	}
}

func TestGroupOfTheDaemonMayReadWhatIsRoots(t *testing.T) {
	const group = 777
	for _, tt := range []struct {
		name  string
		mode  uint32
		gid   uint32
		group int
		want  error
	}{
		{"the group reads", 0o640, group, group, nil},
		{"nobody else does", 0o600, group, group, nil},
		{"another group", 0o640, 100, group, ErrMode},
		{"no such group", 0o640, group, noGroup, ErrMode},
		{"the group writes", 0o660, group, group, ErrMode},
		{"others read", 0o644, group, group, ErrMode},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if err := judge("/k", &unix.Stat_t{Mode: unix.S_IFREG | tt.mode, Gid: tt.gid}, 990, tt.group); !errors.Is(err, tt.want) {
				t.Errorf("got %v, want %v", err, tt.want)
			}
		})
	}
}

func TestKeyThatRootMakesIsReadableForTheGroup(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to give a file to a group")
	}
	const group = 54321
	path := filepath.Join(t.TempDir(), "key")
	if err := create(path, group, func(io.Writer) error { return nil }); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if gid := info.Sys().(*syscall.Stat_t).Gid; info.Mode() != 0o640 || gid != group {
		t.Errorf("mode %v, group %d", info.Mode(), gid)
	}
}

func TestReadBySomebodyElse(t *testing.T) {
	err := unreadable("/k", 990, &fs.PathError{Op: "open", Path: "/k", Err: unix.EACCES})
	if !errors.Is(err, ErrUnreadable) || !strings.Contains(err.Error(), "by user 990: be root or the user that the daemon runs as") {
		t.Errorf("err = %v", err)
	}
}

func TestLoad(t *testing.T) {
	first, second := put(t, key(1)), put(t, key(2))
	for _, tt := range []struct {
		name           string
		file, accepted string
		want           Keys
		err            error
	}{
		{"one", first, "", Keys{Seal: key(1)}, nil},
		{"two", first, second, Keys{Seal: key(1), Accepted: key(2)}, nil},
		{"the other way round", second, first, Keys{Seal: key(2), Accepted: key(1)}, nil},
		{"the first is absent", "/nonexistent/key", second, Keys{}, ErrAbsent},
		{"the second is absent", first, "/nonexistent/key", Keys{}, ErrAbsent},
		{"one key in two files", first, put(t, key(1)), Keys{}, ErrSame},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, err := Load(tt.file, tt.accepted)
			if got != tt.want || !errors.Is(err, tt.err) {
				t.Errorf("got %v, %v, want %v, %v", got, err, tt.want, tt.err)
			}
		})
	}
}

// In each step of a change, what any director seals the others open, whether
// they have taken the step or not.
func TestChangeOfKeyLosesNothing(t *testing.T) {
	steps := []Keys{
		{Seal: key(1)},
		{Seal: key(1), Accepted: key(2)},
		{Seal: key(2), Accepted: key(1)},
		{Seal: key(2)},
	}
	for i := range len(steps) - 1 {
		for _, sender := range steps[i : i+2] {
			for _, receiver := range steps[i : i+2] {
				sealer, err := frame.NewSealer(7, sender.Seal, nil)
				if err != nil {
					t.Fatal(err)
				}
				opener, err := frame.NewOpener(7, receiver.All()...)
				if err != nil {
					t.Fatal(err)
				}
				sealed, err := sealer.Seal(nil, []byte("news"))
				if err != nil {
					t.Fatal(err)
				}
				if _, err := opener.Open(sealed); err != nil {
					t.Errorf("step %d: %v does not open what %v sealed: %v", i+1, receiver, sender, err)
				}
			}
		}
	}
}

func TestCreate(t *testing.T) {
	previous := unix.Umask(0o377) // of a careful administrator
	path := filepath.Join(t.TempDir(), "key")
	made, err := Create(path)
	unix.Umask(previous)
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("got %v, %v", info.Mode(), err)
	}
	if got, err := Read(path); err != nil || got != made || !got.Valid() {
		t.Errorf("made %v, read %v, %v", made, got, err)
	}
	other, err := Create(filepath.Join(filepath.Dir(path), "other"))
	if err != nil || other == made {
		t.Errorf("the same key twice, or %v", err)
	}
}

func TestCreateRefused(t *testing.T) {
	existing := put(t, key(1))
	dangling := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(filepath.Join(t.TempDir(), "elsewhere"), dangling); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		path string
		want error
		mend string
	}{
		{"a file is there", existing, ErrExists, "move it away first"},
		{"a link is there", dangling, ErrExists, "move it away first"},
		{"no directory", "/nonexistent/ssyncp/key", ErrCreate, "install -d -m 755 /nonexistent/ssyncp"},
		{"a file where a directory belongs", existing + "/key", ErrCreate, "not a directory"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Create(tt.path)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), "key file "+tt.path) || !strings.Contains(err.Error(), tt.mend) {
				t.Errorf("got %v, want %v with %q", err, tt.want, tt.mend)
			}
		})
	}
	if got, err := Read(existing); err != nil || got != key(1) {
		t.Errorf("the file that was there: %v, %v", got, err)
	}
	if _, err := os.Stat(dangling); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("written through a link: %v", err)
	}
}

func TestHalfWrittenFileIsTakenAway(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	full := errors.New("disk full")
	err := create(path, noGroup, func(w io.Writer) error {
		if _, err := io.WriteString(w, "ssyncp-key-1:AAEC"); err != nil {
			return err
		}
		return full
	})
	if !errors.Is(err, ErrCreate) || !errors.Is(err, full) {
		t.Errorf("err = %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("something was left behind: %v", err)
	}
}
