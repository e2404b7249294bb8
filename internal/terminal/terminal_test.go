package terminal_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/terminal"
	"github.com/ssyncp/ssyncp/internal/terminal/terminaltest"
)

func TestAScreenIsDrawnAsFarAsItFits(t *testing.T) {
	pty := terminaltest.New(t, 10, 3)
	s, err := terminal.Open(pty.Tty, pty.Tty)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for _, tt := range []struct{ name, text, want string }{
		{"what fits", "one\ntwo\nthree\n", "\x1b[Hone\x1b[K\r\ntwo\x1b[K\r\nthree\x1b[K\x1b[J"},
		{"a long line", "0123456789abc\n", "\x1b[H0123456789\x1b[K\x1b[J"},
		{"a long line of other letters", "äöüäöüäöüäöü\n", "\x1b[Häöüäöüäöüä\x1b[K\x1b[J"},
		{"many lines", "1\n2\n3\n4\n5\n", "\x1b[H1\x1b[K\r\n2\x1b[K\r\n... 3 more\x1b[K\x1b[J"},
	} {
		at := len(pty.Seen())
		if err := s.Draw([]byte(tt.text)); err != nil {
			t.Fatal(err)
		}
		// The terminal makes \r\r\n of \r\n.
		pty.Shows(strings.ReplaceAll(tt.want, "\r\n", "\r\r\n"), at)
	}
	pty.Resize(20, 2)
	if columns, rows := s.Size(); columns != 20 || rows != 2 {
		t.Errorf("%d columns, %d rows", columns, rows)
	}
}

func TestKeysComeAtOnce(t *testing.T) {
	pty := terminaltest.New(t, 80, 24)
	s, err := terminal.Open(pty.Tty, pty.Tty)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	keys := make(chan byte)
	go s.Keys(ctx, keys)
	pty.Press("xq")
	if a, b := <-keys, <-keys; a != 'x' || b != 'q' {
		t.Errorf("%c and %c", a, b)
	}
	stop()
	if _, ok := <-keys; ok {
		t.Error("another key")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestATerminalIsGivenBackAsItWas(t *testing.T) {
	pty := terminaltest.New(t, 80, 24)
	state := func() unix.Termios {
		s, err := unix.IoctlGetTermios(int(pty.Tty.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		return *s
	}
	before := state()
	s, err := terminal.Open(pty.Tty, pty.Tty)
	if err != nil {
		t.Fatal(err)
	}
	if state() == before {
		t.Error("it was not taken over")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if state() != before {
		t.Error("it is not as it was")
	}
	pty.Shows("\x1b[?25h\x1b[?1049l", 0)
}

func TestAFileIsNoTerminal(t *testing.T) {
	file, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := terminal.Open(file, file); !errors.Is(err, terminal.ErrNoTerminal) {
		t.Errorf("%v", err)
	}
}
