package devicefuzz

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// A stranger is root of a user namespace of its own, and nobody outside. It
// cannot open the device. With a descriptor that it was given it can do in
// that one's namespace what its giver could, and in its own nothing.

const (
	nobody           = 65534
	strangerCalls    = 60
	strangerPatience = 3 * time.Minute
	strangerFD       = 3
)

func (p *pool) stranger(w *worker, d *descriptor) error {
	d.RLock()
	defer d.RUnlock()
	if d.fd < 0 {
		return nil
	}
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("devicefuzz: socketpair: %w", err)
	}
	ours, theirs := os.NewFile(uintptr(pair[0]), "socket"), os.NewFile(uintptr(pair[1]), "socket")
	defer ours.Close()
	defer theirs.Close()
	ctx, cancel := context.WithTimeout(context.Background(), strangerPatience)
	defer cancel()
	config := p.run.Config
	config.Seed = w.Uint64()
	command, err := config.command(ctx, roleStranger)
	if err != nil {
		return err
	}
	var out, said bytes.Buffer
	command.Stdout, command.Stderr = &out, &said
	command.ExtraFiles = []*os.File{theirs}
	command.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET,
		UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: nobody, Size: 1}},
		GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: nobody, Size: 1}},
	}
	if d.mode.Load() == 0 {
		d.sure.Store(false) // it may attach what it is given
	}
	if err := unix.Sendmsg(pair[0], []byte{0}, unix.UnixRights(d.fd), nil, 0); err != nil {
		return fmt.Errorf("devicefuzz: sendmsg: %w", err)
	}
	if err := command.Run(); err != nil {
		return fmt.Errorf("devicefuzz: stranger: %w\n%s", err, said.String())
	}
	report, err := Read(&out)
	if err != nil {
		return err
	}
	for _, finding := range report.Findings {
		p.run.find("stranger: %s", finding)
	}
	for call, n := range report.Calls {
		w.count["by a stranger: "+call] += n
	}
	return nil
}

func beStranger(c Config) (*Report, error) {
	r := &run{Config: c}
	w, err := newWorker(r, 0)
	if err != nil {
		return nil, err
	}
	switch fd, err := unix.Open(chardev.DefaultPath, unix.O_RDWR|unix.O_CLOEXEC, 0); {
	case err == nil:
		unix.Close(fd)
		r.find("opened the device")
	case !errors.Is(err, unix.EPERM) && !errors.Is(err, unix.EACCES):
		return nil, fmt.Errorf("devicefuzz: open: %w", err)
	default:
		w.tally("open", errnoOf(err))
	}
	received, err := receive(strangerFD)
	if err != nil {
		return nil, fmt.Errorf("devicefuzz: stranger: %w", err)
	}
	d := &descriptor{fd: received[0], place: abroad}
	for range strangerCalls {
		w.on(d)
	}
	// Where it can be read, its own table has a line of titles.
	if table, err := os.ReadFile("/proc/self/net/ip_vs_conn"); err == nil && bytes.Count(table, []byte("\n")) > 1 {
		r.find("its own namespace has connections:\n%s", table)
	}
	return r.report([]*worker{w}, nil)
}
