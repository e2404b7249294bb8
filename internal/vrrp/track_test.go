package vrrp

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// watched is a track file that is kept true.
type watched struct {
	*Track
	log  *output
	stop func()
}

// watch keeps a track file until it is stopped, or the test ends.
func watch(t *testing.T, path string, d Director) *watched {
	t.Helper()
	log, out := logger()
	track, err := OpenTrack(path, NewCounters(), log)
	if err != nil {
		t.Fatal(err)
	}
	says(t, path, "0\n")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { track.Watch(ctx, d); close(ended) }()
	stop := func() { cancel(); <-ended }
	t.Cleanup(stop)
	return &watched{track, out, stop}
}

// watchSynced is watch for a director that is synced.
func watchSynced(t *testing.T) (d *director, path string, w *watched) {
	t.Helper()
	d = new(director)
	d.become(block.StateSynced)
	path = filepath.Join(t.TempDir(), "synced")
	return d, path, watch(t, path, d)
}

// says expects a text in a file; none is no file.
func says(t *testing.T, path, want string) {
	t.Helper()
	got, err := os.ReadFile(path)
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("the track file says %q, want %q", got, want)
	}
}

func TestTrackFileFollowsTheState(t *testing.T) {
	const joining, synced, alone, degraded = block.StateJoining, block.StateSynced, block.StateSyncedAlone, block.StateDegraded
	for _, tt := range []struct {
		name   string
		states []block.State
		want   string // a digit each
	}{
		{"it joins and is synced", []block.State{joining, synced}, "01"},
		{"the first of all is alone", []block.State{joining, alone, synced}, "011"},
		{"services are missing when it joins", []block.State{joining, degraded, degraded, synced}, "0001"},
		{"services are missing when it is first looked at", []block.State{degraded, degraded, synced}, "001"},
		{"services are missing, and it joins anew", []block.State{joining, degraded, joining, degraded, alone, degraded}, "000011"},
		{"services are missing later", []block.State{joining, synced, degraded, synced}, "0111"},
		{"it joins anew", []block.State{joining, synced, degraded, joining, degraded, synced}, "011001"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := new(director)
				d.become(tt.states[0])
				path := filepath.Join(t.TempDir(), "synced")
				watch(t, path, d)
				for i, s := range tt.states {
					d.become(s)
					time.Sleep(every)
					for range 5 { // and it lasts
						time.Sleep(every / 2)
						says(t, path, tt.want[i:i+1]+"\n")
					}
				}
			})
		})
	}
}

func TestTrackFileFallsWhenTheDirectorHangs(t *testing.T) {
	for name, breaks := range map[string]func(*director){
		"it hangs":      func(d *director) { d.hangs = true },
		"it is stopped": func(d *director) { d.err = errors.New("the director does not run") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, path, w := watchSynced(t)
				time.Sleep(time.Minute)
				says(t, path, "1\n")
				d.do(func() { breaks(d) })
				time.Sleep(every + patience + time.Millisecond)
				says(t, path, "0\n")
				if w.counters.Troubles.Value(Unanswered) == 0 || strings.Count(w.log.String(), "synced=false") != 1 {
					t.Errorf("log: %s", w.log)
				}
				d.do(func() { d.hangs, d.err = false, nil })
				time.Sleep(every + patience)
				says(t, path, "1\n")
			})
		})
	}
}

// What cannot take what comes is not synced, whatever it was, until it has what it
// missed. The state is that of the classes that can.
func TestTrackFileFallsWhileSomethingCannotBeUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, path, w := watchSynced(t)
		for _, step := range []struct {
			what    string
			failing map[block.Class]error
			resync  bool // of a peer that is there
			want    string
		}{
			{"nothing fails", nil, false, "1\n"},
			{"a resync by hand is no sign of a lack", nil, true, "1\n"},
			{"one class fails", map[block.Class]error{block.ClassConntrack: errors.New("no table")}, false, "0\n"},
			{"it takes what it missed", nil, true, "0\n"},
			{"it has that", nil, false, "1\n"},
			{"it is asked by hand again", nil, true, "1\n"},
		} {
			d.do(func() {
				d.status.Failing = step.failing
				d.status.Peers = []peering.PeerStatus{{Proven: true, Resync: step.resync}}
			})
			time.Sleep(2 * every)
			t.Log(step.what)
			says(t, path, step.want)
		}
		if text := w.log.String(); !strings.Contains(text, "conntrack: no table") {
			t.Errorf("it does not say why:\n%s", text)
		}
	})
}

func TestTrackFileIsGoneAtAStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, path, w := watchSynced(t)
		time.Sleep(every)
		d.do(func() { d.hangs = true }) // even then
		time.Sleep(every)
		w.stop()
		left, err := os.ReadDir(filepath.Dir(path))
		if err != nil || len(left) > 0 {
			t.Errorf("left behind: %v, %v", left, err)
		}
	})
}

func TestTrackFileOfADaemonThatWasKilledIsZeroAtTheStart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "synced")
	for name, text := range map[string]string{path: "1\n", path + ".new": "1", path + ".lock": ""} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	log, _ := logger()
	track, err := OpenTrack(path, NewCounters(), log)
	if err != nil {
		t.Fatal(err)
	}
	defer track.Close()
	says(t, path, "0\n")
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
}

func TestTrackFileThatSomebodyTouchesIsMadeTrueAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, path, w := watchSynced(t)
		time.Sleep(every)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * every)
		says(t, path, "1\n")

		// It cannot be written: no file, which is 0, and no stale 1.
		if err := os.Mkdir(path+".new", 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path+".new/x", nil, 0o600); err != nil {
			t.Fatal(err)
		}
		d.become(block.StateJoining)
		time.Sleep(10 * every)
		says(t, path, "")
		if n := strings.Count(w.log.String(), "cannot be written"); n != 1 || w.counters.Troubles.Value(TrackFailed) < 5 {
			t.Errorf("said %d times, counted %d", n, w.counters.Troubles.Value(TrackFailed))
		}
		if err := os.RemoveAll(path + ".new"); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * every)
		says(t, path, "0\n")
	})
}

// keepalived watches the directory for what is closed after writing, deleted or
// moved, and looks for the name.
func TestInotifySeesEveryChange(t *testing.T) {
	directory := t.TempDir()
	watcher, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(watcher)
	if _, err := unix.InotifyAddWatch(watcher, directory, unix.IN_CLOSE_WRITE|unix.IN_DELETE|unix.IN_MOVE); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(directory, "synced")
	seen := func() (masks []uint32) {
		t.Helper()
		buffer := make([]byte, 4096)
		n, err := unix.Read(watcher, buffer)
		if err != nil {
			return nil
		}
		for rest := buffer[:n]; len(rest) > 0; {
			length := int(binary.NativeEndian.Uint32(rest[12:]))
			if name := strings.TrimRight(string(rest[16:16+length]), "\x00"); name == "synced" {
				masks = append(masks, binary.NativeEndian.Uint32(rest[4:]))
			}
			rest = rest[16+length:]
		}
		return masks
	}
	log, _ := logger()
	track, err := OpenTrack(path, NewCounters(), log)
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []struct {
		what string
		do   func()
		want uint32
	}{
		{"made", func() {}, unix.IN_MOVED_TO},
		{"set", func() { track.set(true, "test") }, unix.IN_MOVED_TO},
		{"unset", func() { track.set(false, "test") }, unix.IN_MOVED_TO},
		{"removed", track.Close, unix.IN_DELETE},
	} {
		step.do()
		if masks := seen(); len(masks) != 1 || masks[0] != step.want {
			t.Errorf("%s: %x, want %x", step.what, masks, step.want)
		}
	}
}

func TestRefusedTrackFiles(t *testing.T) {
	for _, tt := range []struct {
		name string
		make func(path string) error
		want error
	}{
		{"a file of somebody else", func(path string) error { return os.WriteFile(path, []byte("root:x:0"), 0o600) }, ErrNotTrack},
		{"another number", func(path string) error { return os.WriteFile(path, []byte("7\n"), 0o600) }, ErrNotTrack},
		{"a directory", func(path string) error { return os.Mkdir(path, 0o700) }, ErrNotTrack},
		{"a link", func(path string) error { return os.Symlink("/etc/passwd", path) }, ErrNotTrack},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "synced")
			if err := tt.make(path); err != nil {
				t.Fatal(err)
			}
			log, _ := logger()
			_, err := OpenTrack(path, NewCounters(), log)
			if !errors.Is(err, tt.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("err = %v", err)
			}
			if left, _ := os.ReadDir(filepath.Dir(path)); len(left) != 1 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
	log, _ := logger()
	if _, err := OpenTrack(filepath.Join(t.TempDir(), "none", "synced"), NewCounters(), log); !errors.Is(err, ErrDirectory) {
		t.Errorf("without a directory: %v", err)
	}
}

func TestTrackFileOfAnotherDaemonIsLeftAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, path, _ := watchSynced(t)
		time.Sleep(every)
		log, _ := logger()
		if _, err := OpenTrack(path, NewCounters(), log); !errors.Is(err, ErrInUse) {
			t.Errorf("err = %v", err)
		}
		says(t, path, "1\n")
	})
}
