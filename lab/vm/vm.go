// Package vm runs guests under QEMU: boots them, runs programs in them, takes
// their power away, and looks through their console for what a kernel says when
// something is wrong.
package vm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// ErrStopped says that the guest ended, by itself or through PowerOff.
var ErrStopped = errors.New("guest stopped")

// A Guest is a running virtual machine.
type Guest struct {
	config Config
	qemu   *exec.Cmd
	said   bytes.Buffer // by QEMU itself
	ended  chan struct{}
	port   *port
}

// Start boots a guest and returns when it takes commands. It ends with ctx, and
// with this process, however that ends.
func Start(ctx context.Context, c Config) (*Guest, error) {
	if c.Memory == 0 {
		c.Memory = defaultMemory
	}
	if c.Boot == 0 {
		c.Boot = defaultBoot
	}
	// QEMU connects to the control port, so that it is there from the start.
	if err := os.Remove(c.control()); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	listener, err := net.Listen("unix", c.control())
	if err != nil {
		return nil, fmt.Errorf("vm: %s: %w", c.Name, err)
	}
	defer listener.Close()

	g := &Guest{config: c, ended: make(chan struct{})}
	g.qemu = exec.CommandContext(ctx, "qemu-system-x86_64", c.arguments()...)
	g.qemu.Stderr = &g.said
	g.qemu.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := g.launch(); err != nil {
		return nil, fmt.Errorf("vm: %s: %w", c.Name, err)
	}
	if err := g.boot(ctx, listener); err != nil {
		g.PowerOff()
		return nil, err
	}
	return g, nil
}

// launch starts QEMU from a thread that lives as long as QEMU does: the kernel
// sends the parent's death signal when the thread that forked ends.
func (g *Guest) launch() error {
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := g.qemu.Start()
		started <- err
		if err != nil {
			return
		}
		// How it ended matters to nobody: that it did is what PowerOff wants,
		// and what a command that was running is told.
		_ = g.qemu.Wait()
		close(g.ended)
	}()
	return <-started
}

func (g *Guest) boot(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithTimeout(ctx, g.config.Boot)
	defer cancel()
	go func() {
		select {
		case <-ctx.Done():
		case <-g.ended:
		}
		listener.Close()
	}()
	conn, err := listener.Accept()
	if err != nil {
		return g.failure(fmt.Errorf("QEMU did not start: %w", err))
	}
	g.port = newPort(conn)
	select {
	case <-g.port.ready:
		return nil
	case <-g.ended:
		return g.failure(errors.New("ended while it booted"))
	case <-ctx.Done():
		return g.failure(fmt.Errorf("did not boot within %v", g.config.Boot))
	}
}

// failure adds what is known of the guest to an error.
func (g *Guest) failure(err error) error {
	console, readErr := os.ReadFile(g.config.console())
	if readErr != nil {
		console = []byte(readErr.Error())
	}
	qemu := ""
	select {
	case <-g.ended: // g.said is complete
		qemu = strings.TrimSpace(g.said.String())
	default:
	}
	return fmt.Errorf("vm: %s: %w\nqemu: %s\nend of the console:\n%s", g.config.Name, err, qemu, tail(console, 40))
}

func tail(text []byte, lines int) string {
	all := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Name returns the guest's name.
func (g *Guest) Name() string { return g.config.Name }

// Ended is closed when the guest is gone.
func (g *Guest) Ended() <-chan struct{} { return g.ended }

// PowerOff takes the guest's power: it stops between two instructions.
func (g *Guest) PowerOff() {
	// The one error is that it has ended already.
	_ = g.qemu.Process.Kill()
	<-g.ended
	if g.port != nil {
		g.port.conn.Close()
	}
}

// Stop shuts the guest down in order, for what its kernel has to say at the
// end, and then does as PowerOff.
func (g *Guest) Stop(ctx context.Context) error {
	defer g.PowerOff()
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := g.Run(ctx, Command{Argv: []string{"poweroff", "-f"}}); err != nil && !errors.Is(err, ErrStopped) {
		return fmt.Errorf("vm: %s: power off: %w", g.config.Name, err)
	}
	select {
	case <-g.ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("vm: %s: did not power off: %w", g.config.Name, ctx.Err())
	}
}
