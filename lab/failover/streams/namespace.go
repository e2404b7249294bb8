package main

import (
	"fmt"
	"os"
	"runtime"

	"golang.org/x/sys/unix"
)

// inNamespace runs f on a thread in a network namespace of `ip netns`. Sockets
// that f opens stay in it.
func inNamespace(name string, f func() error) error {
	done := make(chan error)
	go func() {
		// Not unlocked: the thread ends with the goroutine instead of running
		// something else in the wrong namespace.
		runtime.LockOSThread()
		done <- func() error {
			namespace, err := os.Open("/run/netns/" + name)
			if err != nil {
				return err
			}
			defer namespace.Close()
			if err := unix.Setns(int(namespace.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("setns: %w", err)
			}
			return f()
		}()
	}()
	return <-done
}
