// Command agent runs in a guest and does what the host asks for.
package main

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/lab/control"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: agent TTY")
		os.Exit(2)
	}
	if err := serve(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		os.Exit(1)
	}
}

func serve(path string) error {
	port, err := os.OpenFile(path, os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		return err
	}
	defer port.Close()
	if err := raw(int(port.Fd())); err != nil {
		return fmt.Errorf("%s: raw mode: %w", path, err)
	}
	return control.Serve(port)
}

// raw makes the port carry bytes as they are.
func raw(fd int) error {
	termios, err := unix.IoctlGetTermios(fd, unix.TCGETS)
	if err != nil {
		return err
	}
	termios.Iflag = 0
	termios.Oflag = 0
	termios.Lflag = 0
	termios.Cflag = unix.CS8 | unix.CREAD | unix.CLOCAL | unix.B115200
	termios.Cc[unix.VMIN] = 1
	termios.Cc[unix.VTIME] = 0
	return unix.IoctlSetTermios(fd, unix.TCSETS, termios)
}
