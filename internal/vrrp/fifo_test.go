package vrrp

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// reader is a FIFO that is read.
type reader struct {
	*FIFO
	log *output
	mu  sync.Mutex
	got []string
}

// listen reads a FIFO until the test ends.
func listen(t *testing.T, path string) *reader {
	t.Helper()
	log, out := logger()
	fifo, err := OpenFIFO(path, NewCounters(), log)
	if err != nil {
		t.Fatal(err)
	}
	r := &reader{FIFO: fifo, log: out}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		fifo.Run(ctx, func(name string, role Role) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.got = append(r.got, name+"="+role.String())
			return checkName(name)
		})
		close(ended)
	}()
	t.Cleanup(func() {
		begun := time.Now()
		stop()
		<-ended
		if took := time.Since(begun); took > look/2 {
			t.Errorf("a stop took %v", took)
		}
	})
	return r
}

// reads waits until exactly these roles were read so far.
func (r *reader) reads(t *testing.T, want string) {
	t.Helper()
	var got string
	for range 2000 {
		r.mu.Lock()
		got = strings.Join(r.got, " ")
		r.mu.Unlock()
		if got == want {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("read %q, want %q\n%s", got, want, r.log)
}

func (r *reader) counted(t *testing.T, want map[Trouble]uint64) {
	t.Helper()
	for trouble := range troublesOfAll {
		if n := r.counters.Troubles.Value(trouble); n != want[trouble] {
			t.Errorf("%s: %d, want %d", troubleNames[trouble], n, want[trouble])
		}
	}
}

// writer plays keepalived, which opens a FIFO so.
func writer(t *testing.T, path string) *os.File {
	t.Helper()
	if err := unix.Mkfifo(path, 0o644); err != nil && !errors.Is(err, unix.EEXIST) {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR|unix.O_NONBLOCK|unix.O_NOFOLLOW, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func say(t *testing.T, f *os.File, text string) {
	t.Helper()
	if _, err := f.WriteString(text); err != nil {
		t.Fatal(err)
	}
}

func TestRolesComeByTheFIFO(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	r := listen(t, path)
	keepalived := writer(t, path)
	say(t, keepalived, "INSTANCE \"VI_1\" BACKUP 100\nGROUP \"VG\" BACKUP 0\nINSTANCE \"VI_2\" MAS")
	r.reads(t, "VI_1=backup")
	say(t, keepalived, "TER 100\nwhat is this\n"+strings.Repeat("x", 3*maxLine))
	r.reads(t, "VI_1=backup VI_2=master")
	say(t, keepalived, strings.Repeat("x", maxLine)+"\nINSTANCE \"\x01\" MASTER 1\nINSTANCE \"VI_1\" MASTER 100\n")
	r.reads(t, "VI_1=backup VI_2=master \x01=master VI_1=master")
	r.counted(t, map[Trouble]uint64{UnknownLines: 1, LongLines: 1})
	if lines, others := r.counters.Counts.Value(Lines), r.counters.Counts.Value(OtherLines); lines != 4 || others != 1 {
		t.Errorf("%d lines with a role, %d others", lines, others)
	}
}

func TestKeepalivedBeforeTheDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	keepalived := writer(t, path)
	say(t, keepalived, "INSTANCE \"VI_1\" BACKUP 100\nINSTANCE \"VI_1\" MASTER 100\n")
	listen(t, path).reads(t, "VI_1=backup VI_1=master")
}

func TestKeepalivedIsRestarted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	keepalived := writer(t, path) // it made the FIFO, so that it removes it
	r := listen(t, path)
	say(t, keepalived, "INSTANCE \"VI_1\" MASTER 100\n")
	r.reads(t, "VI_1=master")
	say(t, keepalived, "INSTANCE \"VI_1\" STOP 100\nINSTANCE \"VI_1")
	keepalived.Close()
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	keepalived = writer(t, path)
	say(t, keepalived, "INSTANCE \"VI_1\" BACKUP 100\n")
	r.reads(t, "VI_1=master VI_1=stop VI_1=backup")
	r.counted(t, map[Trouble]uint64{PartialLines: 1})
}

func TestSilenceCostsNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	r := listen(t, path)
	keepalived := writer(t, path)
	say(t, keepalived, "INSTANCE \"VI_1\" MASTER 100\n")
	keepalived.Close() // nobody else has it open
	r.reads(t, "VI_1=master")
	used := func() time.Duration {
		var u unix.Rusage
		if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
			t.Fatal(err)
		}
		return time.Duration(u.Utime.Nano() + u.Stime.Nano())
	}
	before := used()
	time.Sleep(500 * time.Millisecond)
	if spent := used() - before; spent > 200*time.Millisecond {
		t.Errorf("%v of CPU in half a second of silence", spent)
	}
}

func TestFIFOThatIsReplacedByWhatCannotBeTrusted(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	r := listen(t, path)
	other := filepath.Join(t.TempDir(), "other")
	keepalived := writer(t, other)
	if err := os.Chmod(other, 0o666); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	for range 2000 {
		if strings.Contains(r.log.String(), "others may write to it") {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	say(t, keepalived, "INSTANCE \"VI_1\" MASTER 100\n")
	r.reads(t, "")
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	r.reads(t, "VI_1=master")
	if n := strings.Count(r.log.String(), "others may write to it"); n != 1 {
		t.Errorf("said %d times", n)
	}
}

func TestRefusedFIFOs(t *testing.T) {
	foreign := func(path string) error { return os.Chown(path, 4711, 4711) }
	for _, tt := range []struct {
		name string
		make func(path string) error
		want error
		text string
	}{
		{"a file", func(path string) error { return os.WriteFile(path, nil, 0o600) }, ErrNotFIFO, "move it away"},
		{"a directory", func(path string) error { return os.Mkdir(path, 0o700) }, ErrNotFIFO, ""},
		{"a link to a FIFO", func(path string) error {
			return errors.Join(unix.Mkfifo(path+"1", 0o600), os.Symlink(path+"1", path))
		}, ErrNotFIFO, ""},
		{"the group may write", func(path string) error { return errors.Join(unix.Mkfifo(path, 0o600), os.Chmod(path, 0o620)) }, ErrOthers, "chmod go-w"},
		{"everybody may write", func(path string) error { return errors.Join(unix.Mkfifo(path, 0o600), os.Chmod(path, 0o602)) }, ErrOthers, "0602"},
		{"another user's", func(path string) error { return errors.Join(unix.Mkfifo(path, 0o600), foreign(path)) }, ErrOwner, "user 4711"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "fifo")
			if err := tt.make(path); errors.Is(err, unix.EPERM) {
				t.Skip("only root can give a file away")
			} else if err != nil {
				t.Fatal(err)
			}
			log, _ := logger()
			_, err := OpenFIFO(path, NewCounters(), log)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("err = %v", err)
			}
		})
	}
}

func TestFIFOOfAnotherDaemonIsLeftAlone(t *testing.T) {
	path := filepath.Join(t.TempDir(), "fifo")
	listen(t, path)
	log, _ := logger()
	if _, err := OpenFIFO(path, NewCounters(), log); !errors.Is(err, ErrInUse) {
		t.Errorf("err = %v", err)
	}
}

func TestFIFOWithoutADirectory(t *testing.T) {
	log, _ := logger()
	if _, err := OpenFIFO(filepath.Join(t.TempDir(), "none", "fifo"), NewCounters(), log); !errors.Is(err, ErrDirectory) {
		t.Errorf("err = %v", err)
	}
}
