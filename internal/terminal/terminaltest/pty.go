// Package terminaltest is a terminal for tests.
package terminaltest

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Terminal is a pseudo terminal: Tty is the program's end of it.
type Terminal struct {
	Tty *os.File

	t    testing.TB
	user *os.File
	mu   sync.Mutex
	seen strings.Builder
}

// New returns one of a size.
func New(t testing.TB, columns, rows int) *Terminal {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("this host has no pseudo terminals: %v", err)
	}
	t.Cleanup(func() { user.Close() })
	number, err := unix.IoctlGetInt(int(user.Fd()), unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetPointerInt(int(user.Fd()), unix.TIOCSPTLCK, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	tty, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { tty.Close() })
	m := &Terminal{Tty: tty, t: t, user: user}
	m.Resize(columns, rows)
	go m.watch()
	return m
}

func (m *Terminal) watch() {
	p := make([]byte, 4096)
	for {
		n, err := m.user.Read(p)
		if err != nil {
			return
		}
		m.mu.Lock()
		m.seen.Write(p[:n])
		m.mu.Unlock()
	}
}

// Resize changes the window, without a signal: nobody's session is here.
func (m *Terminal) Resize(columns, rows int) {
	m.t.Helper()
	if err := unix.IoctlSetWinsize(int(m.user.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: uint16(columns), Row: uint16(rows)}); err != nil {
		m.t.Fatal(err)
	}
}

// Press presses keys.
func (m *Terminal) Press(keys string) {
	m.t.Helper()
	if _, err := m.user.WriteString(keys); err != nil {
		m.t.Fatal(err)
	}
}

// Seen returns what was written to the terminal so far.
func (m *Terminal) Seen() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seen.String()
}

// Shows waits until something was written behind a place, and returns the place
// behind it.
func (m *Terminal) Shows(text string, from int) int {
	m.t.Helper()
	for began := time.Now(); time.Since(began) < 10*time.Second; time.Sleep(5 * time.Millisecond) {
		if at := strings.Index(m.Seen()[from:], text); at >= 0 {
			return from + at + len(text)
		}
	}
	m.t.Fatalf("the terminal does not show %q:\n%q", text, m.Seen()[from:])
	return 0
}
