package vrrp

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/internal/rundirectory"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// every is how often the director is asked how it is. Two that boot together are
// synced at the same moment: the shorter the time until both files say so, the
// rarer one has the higher priority that should not, and the addresses for a
// moment.
const every = 200 * time.Millisecond

// Track is a file for keepalived's track_file, whose number is multiplied by a
// weight and added to a priority: 1 while this director is synced, 0 otherwise.
// keepalived takes a file that is not there for 0.
type Track struct {
	path     string
	lock     *os.File
	counters Counters
	log      *slog.Logger

	synced  bool
	written os.FileInfo // nil: nothing was
	failing bool        // and that was said
	whole   bool        // it was synced since it joined
	behind  bool        // it misses what came while it could not take it
}

// OpenTrack makes the file, with 0 in it.
func OpenTrack(path string, c Counters, log *slog.Logger) (*Track, error) {
	if err := rundirectory.Make(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("VRRP track file %s: %w: %w: make it, or set vrrp.track_file to another path, or to \"\" for none", path, ErrDirectory, err)
	}
	lock, err := rundirectory.Lock(path + ".lock")
	switch {
	case errors.Is(err, unix.EWOULDBLOCK):
		return nil, fmt.Errorf("VRRP track file %s: %w: set another vrrp.track_file: daemons on one host need one each, even in network namespaces of their own", path, ErrInUse)
	case err != nil:
		return nil, fmt.Errorf("VRRP track file %s: %w: %w", path, ErrDirectory, err)
	}
	t := &Track{path: path, lock: lock, counters: c, log: log}
	if err = t.look(); err == nil {
		err = t.write()
	}
	if err != nil {
		os.Remove(lock.Name())
		lock.Close()
		return nil, fmt.Errorf("VRRP track file %s: %w", path, err)
	}
	return t, nil
}

// look refuses to replace what is something else.
func (t *Track) look() error {
	info, err := os.Lstat(t.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().IsRegular() && info.Size() <= 2 {
		if text, err := os.ReadFile(t.path); err == nil {
			switch string(text) {
			case "", "0", "1", "0\n", "1\n":
				return nil
			}
		}
	}
	return fmt.Errorf("what is there %w: move it away, or set another vrrp.track_file", ErrNotTrack)
}

// write replaces the file as a whole: keepalived never reads a part of it, and
// sees the rename, as it watches the directory.
func (t *Track) write() error {
	value := "0\n"
	if t.synced {
		value = "1\n"
	}
	next := t.path + ".new"
	os.Remove(next) // of a daemon that was killed
	file, err := os.OpenFile(next, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = file.WriteString(value)
	if err == nil {
		err = file.Chmod(0o644) // whatever the umask is
	}
	var written os.FileInfo
	if err == nil {
		written, err = file.Stat()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(next, t.path)
	}
	if err != nil {
		os.Remove(next)
		return err
	}
	t.written = written
	return nil
}

// Watch keeps the file true until ctx is done, and removes it. A director that
// does not answer counts as not synced: it may hang.
func (t *Track) Watch(ctx context.Context, d Director) {
	defer t.Close()
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		synced, because := t.ask(ctx, d)
		if ctx.Err() != nil {
			return
		}
		t.set(synced, because)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

func (t *Track) ask(ctx context.Context, d Director) (synced bool, because any) {
	limited, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	status, err := d.Status(limited)
	if err != nil {
		if ctx.Err() == nil {
			t.counters.Troubles.Add(Unanswered, 1)
		}
		return false, err
	}
	return t.judge(status)
}

// judge says whether a director counts as synced, and why. One without a peer does: somebody
// has to be master. Degraded does not while a director joins: services that are
// not configured yet have refused what they will be there for in a moment, and a
// director that lacks them for good should not take them from one that has them.
// Later it does: that a peer is given a new service first is no reason to give
// addresses away. What cannot use all that it carries does not, whatever its state,
// until it has what it missed.
func (t *Track) judge(s peering.Status) (synced bool, because any) {
	switch s.State {
	case block.StateSynced, block.StateSyncedAlone:
		t.whole = true
	case block.StateDegraded:
	default:
		t.whole = false
	}
	t.behind = len(s.Failing) > 0 || t.behind && taking(s)
	switch {
	case len(s.Failing) > 0:
		return false, failing(s)
	case t.behind:
		return false, "it takes what it missed"
	}
	return t.whole, s.State
}

// failing says what a director cannot use.
func failing(s peering.Status) string {
	var all []string
	for _, class := range slices.Sorted(maps.Keys(s.Failing)) {
		all = append(all, fmt.Sprintf("%v: %v", class, s.Failing[class]))
	}
	return strings.Join(all, "; ")
}

// set writes the file where it is not what it should be.
func (t *Track) set(synced bool, because any) {
	if synced != t.synced {
		t.log.Info("the VRRP track file changes", "synced", synced, "because", because, "track_file", t.path)
		t.synced, t.written = synced, nil
	}
	if t.written != nil {
		if named, err := os.Lstat(t.path); err == nil && os.SameFile(named, t.written) {
			return
		}
	}
	err := t.write()
	if err == nil {
		t.failing = false
		return
	}
	// No file is 0. It must not be left with a 1 that is over.
	os.Remove(t.path)
	t.written = nil
	t.counters.Troubles.Add(TrackFailed, 1)
	if !t.failing {
		t.log.Error("the VRRP track file cannot be written, trying again: keepalived takes this director for not synced", "error", err)
	}
	t.failing = true
}

// Said reports whether the file said 1 when it was removed.
func (t *Track) Said() bool { return t.lock == nil && t.synced }

// Close removes the file. Watch does it, too.
func (t *Track) Close() {
	if t.lock == nil {
		return
	}
	os.Remove(t.path)
	os.Remove(t.lock.Name())
	t.lock.Close()
	t.lock = nil
}
