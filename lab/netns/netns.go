// Package netns makes network namespaces and does things inside them. The
// namespaces have names that iproute2 knows: `ip netns exec NAME ...` works.
package netns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

const directory = "/run/netns"

// own is the namespace of the calling thread, whatever thread this is.
const own = "/proc/thread-self/ns/net"

// A Namespace is a network namespace.
type Namespace struct {
	Name string
	file *os.File
}

// New makes a namespace, with its loopback up.
func New(name string) (*Namespace, error) {
	n := &Namespace{Name: name}
	if err := n.create(); err != nil {
		return nil, fmt.Errorf("netns: %s: %w", name, err)
	}
	return n, n.SetUp("lo", true)
}

func (n *Namespace) create() error {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return err
	}
	path := filepath.Join(directory, n.Name)
	place, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_RDONLY, 0o444)
	if err != nil {
		return err
	}
	place.Close()
	err = onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("unshare: %w", err)
		}
		return unix.Mount(own, path, "", unix.MS_BIND, "")
	})
	if err == nil {
		n.file, err = os.Open(path)
	}
	if err != nil {
		err = errors.Join(err, os.Remove(path))
	}
	return err
}

// Close takes the name away; the kernel ends the namespace when nothing is
// left in it. Once is enough, and twice no error.
func (n *Namespace) Close() error {
	if n.file == nil {
		return nil
	}
	file := n.file
	n.file = nil
	path := filepath.Join(directory, n.Name)
	return errors.Join(file.Close(), unix.Unmount(path, unix.MNT_DETACH), os.Remove(path))
}

// Do calls a function inside the namespace. Sockets and files that it opens,
// and processes that it starts, stay there; goroutines that it starts do not.
func (n *Namespace) Do(inside func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(n.file.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("netns: enter %s: %w", n.Name, err)
		}
		return inside()
	})
}

// onThread calls a function on a thread of its own and leaves that thread in
// the namespace that it came from.
func onThread(f func() error) error {
	done := make(chan error)
	go func() {
		// A thread that cannot be put back is never unlocked: it ends here.
		runtime.LockOSThread()
		before, err := os.Open(own)
		if err != nil {
			done <- err
			return
		}
		defer before.Close()
		err = f()
		if back := unix.Setns(int(before.Fd()), unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

// Run runs a program in the namespace and returns its output.
func (n *Namespace) Run(argv ...string) (string, error) {
	return n.Feed("", argv...)
}

// Feed is Run with something to read on the standard input.
func (n *Namespace) Feed(stdin string, argv ...string) (string, error) {
	var out, said strings.Builder
	command := exec.Command(argv[0], argv[1:]...)
	command.Stdin = strings.NewReader(stdin)
	command.Stdout, command.Stderr = &out, &said
	if err := n.Start(command); err != nil {
		return "", err
	}
	if err := command.Wait(); err != nil {
		return out.String(), fmt.Errorf("netns %s: %s: %w\n%s%s",
			n.Name, strings.Join(argv, " "), err, stdin, said.String())
	}
	return out.String(), nil
}

// Start starts a program in the namespace.
func (n *Namespace) Start(command *exec.Cmd) error {
	return n.Do(command.Start)
}

// By path: busybox's shell and PATH may come first with an ip of their own.
const ip = "/sbin/ip"

// IP runs iproute2 commands, one a line, all in one process.
func (n *Namespace) IP(batch string) error {
	_, err := n.Feed(batch, ip, "-batch", "-")
	return err
}

// IP6 is IP for commands that mean IPv6.
func (n *Namespace) IP6(batch string) error {
	_, err := n.Feed(batch, ip, "-6", "-batch", "-")
	return err
}

// ReadFile reads a file of /proc/net, such as "ip_vs_conn".
func (n *Namespace) ReadFile(name string) (text []byte, err error) {
	err = n.Do(func() error {
		text, err = os.ReadFile(filepath.Join("/proc/thread-self/net", name))
		return err
	})
	return text, err
}

// Sysctl sets a key under net, such as "ipv4.ip_forward".
func (n *Namespace) Sysctl(key, value string) error {
	return n.Do(func() error {
		path := filepath.Join("/proc/sys/net", strings.ReplaceAll(key, ".", "/"))
		return os.WriteFile(path, []byte(value), 0)
	})
}

// SetUp sets a link up or down, at once: without a process to start.
func (n *Namespace) SetUp(link string, up bool) error {
	return n.Do(func() error {
		fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			return err
		}
		defer unix.Close(fd)
		request, err := unix.NewIfreq(link)
		if err != nil {
			return err
		}
		if err := unix.IoctlIfreq(fd, unix.SIOCGIFFLAGS, request); err != nil {
			return fmt.Errorf("netns %s: %s: %w", n.Name, link, err)
		}
		flags := request.Uint16() &^ unix.IFF_UP
		if up {
			flags |= unix.IFF_UP
		}
		request.SetUint16(flags)
		if err := unix.IoctlIfreq(fd, unix.SIOCSIFFLAGS, request); err != nil {
			return fmt.Errorf("netns %s: %s: %w", n.Name, link, err)
		}
		return nil
	})
}
