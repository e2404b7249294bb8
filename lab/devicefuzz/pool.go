package devicefuzz

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// An opener opens the device in one namespace, on a thread that stays there.
type opener struct{ ask chan chan opened }

type opened struct {
	fd  int
	err error
}

func newOpener(path string) (*opener, error) {
	o := &opener{ask: make(chan chan opened)}
	ready := make(chan error)
	go func() {
		runtime.LockOSThread()
		ready <- enter(path)
		for answer := range o.ask {
			fd, err := openDevice(unix.O_NONBLOCK)
			answer <- opened{fd, err}
		}
	}()
	return o, <-ready
}

func enter(path string) error {
	namespace, err := os.Open(path)
	if err != nil {
		return err
	}
	defer namespace.Close()
	return unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET)
}

func openDevice(flags int) (int, error) {
	fd, err := unix.Open(chardev.DefaultPath, unix.O_RDWR|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		return -1, fmt.Errorf("devicefuzz: open: %w", err)
	}
	return fd, nil
}

func (o *opener) open() (int, error) {
	answer := make(chan opened)
	o.ask <- answer
	got := <-answer
	return got.fd, got.err
}

// A pool is the descriptors that the workers share.
type pool struct {
	run  *run
	list []*descriptor
}

const poolSize = 20

func newPool(r *run) *pool {
	p := &pool{run: r}
	for range poolSize {
		p.list = append(p.list, &descriptor{fd: -1})
	}
	return p
}

// step does one thing with one of the descriptors.
func (p *pool) step(w *worker) error {
	d := p.list[w.IntN(len(p.list))]
	switch n := w.IntN(1000); {
	case n < 40:
		return p.replace(w, d)
	case n < 42:
		return p.elsewhere(w, d)
	case n < 44:
		return p.inherited(w)
	case n < 45:
		return p.stranger(w, d)
	}
	w.on(d)
	return nil
}

// replace closes a descriptor and opens it again: in any place but the ledger's.
func (p *pool) replace(w *worker, d *descriptor) error {
	place := w.IntN(len(p.run.Places))
	if place == p.run.Ledger {
		return nil
	}
	fd, err := p.run.open(place)
	if err != nil {
		return err
	}
	w.count["opened"]++
	p.put(d, fd, place)
	for range w.IntN(3) { // most are of use from the beginning
		w.alone(d, w.attach)
	}
	return nil
}

func (p *pool) put(d *descriptor, fd, place int) {
	d.Lock()
	defer d.Unlock()
	if d.fd >= 0 {
		unix.Close(d.fd)
	}
	d.fd, d.place = fd, place
	d.mode.Store(0)
	d.sure.Store(true)
}

// elsewhere opens the device in a namespace that nothing else holds: it ends
// with the descriptor, and may have services and a lingering queue then.
func (p *pool) elsewhere(w *worker, d *descriptor) error {
	services := w.IntN(2) == 0
	result := make(chan opened)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends
		fd, err := -1, unix.Unshare(unix.CLONE_NEWNET)
		if err == nil && services {
			rules := exec.Command("/sbin/ipvsadm", "-A", "-t", p.run.Services[0].Virtual.String(), "-s", "rr")
			if out, failed := rules.CombinedOutput(); failed != nil {
				err = fmt.Errorf("devicefuzz: ipvsadm: %w\n%s", failed, out)
			}
		}
		if err == nil {
			fd, err = openDevice(unix.O_NONBLOCK)
		}
		result <- opened{fd, err}
	}()
	got := <-result
	if got.err != nil {
		return got.err
	}
	w.count["opened in a namespace of its own"]++
	p.put(d, got.fd, abroad)
	return nil
}

// inherited gives a descriptor that waits to a process, and kills that.
func (p *pool) inherited(w *worker) error {
	place := w.IntN(len(p.run.Places))
	if place == p.run.Ledger {
		return nil
	}
	fd, err := p.run.open(place)
	if err != nil {
		return err
	}
	if err := unix.SetNonblock(fd, false); err != nil {
		return err
	}
	file := os.NewFile(uintptr(fd), chardev.DefaultPath)
	defer file.Close()
	w.tally("attach, to wait", attachAs(fd, 1+w.Uint32N(3)))
	reader := exec.Command("/bin/busybox", "cat")
	reader.Stdin = file
	if err := reader.Start(); err != nil {
		return fmt.Errorf("devicefuzz: %w", err)
	}
	time.Sleep(time.Duration(w.IntN(150)) * time.Millisecond)
	if err := reader.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("devicefuzz: %w", err)
	}
	_ = reader.Wait() // killed, or at the end of a snapshot
	w.count["inherited"]++
	return nil
}
