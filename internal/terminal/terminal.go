// Package terminal is a screen that is drawn again and again, and keys.
package terminal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// ErrNoTerminal says that a file is none.
var ErrNoTerminal = errors.New("not a terminal")

// Control sequences (ECMA-48, and xterm's alternate screen).
const (
	enter = "\x1b[?1049h\x1b[?25l\x1b[H\x1b[2J" // alternate screen, no cursor, cleared
	leave = "\x1b[?25h\x1b[?1049l"
	home  = "\x1b[H"
	rest  = "\x1b[K" // clears to the end of the line
	below = "\x1b[J" // clears what is below
)

// Screen is a terminal that is drawn on.
type Screen struct {
	in, out *os.File
	before  unix.Termios
	buffer  bytes.Buffer
}

// Open takes a terminal over. Close gives it back as it was.
func Open(in, out *os.File) (*Screen, error) {
	s := &Screen{in: in, out: out}
	for _, f := range []*os.File{in, out} {
		state, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.Name(), ErrNoTerminal)
		}
		if f == in {
			s.before = *state
		}
	}
	// Keys at once and unseen; a read waits a tenth of a second. Ctrl-C is a
	// signal still.
	state := s.before
	state.Lflag &^= unix.ICANON | unix.ECHO
	state.Cc[unix.VMIN], state.Cc[unix.VTIME] = 0, 1
	if err := unix.IoctlSetTermios(int(in.Fd()), unix.TCSETS, &state); err != nil {
		return nil, fmt.Errorf("%s: %w", in.Name(), err)
	}
	if _, err := out.WriteString(enter); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// Close gives the terminal back.
func (s *Screen) Close() error {
	_, err := s.out.WriteString(leave)
	return errors.Join(err, unix.IoctlSetTermios(int(s.in.Fd()), unix.TCSETS, &s.before))
}

// Size returns how many columns and rows there are; it is asked anew, as the
// window may change.
func (s *Screen) Size() (columns, rows int) {
	w, err := unix.IoctlGetWinsize(int(s.out.Fd()), unix.TIOCGWINSZ)
	if err != nil || w.Col == 0 || w.Row == 0 {
		return 80, 24
	}
	return int(w.Col), int(w.Row)
}

// Draw shows lines from the top on, cut to what fits.
func (s *Screen) Draw(text []byte) error {
	columns, rows := s.Size()
	lines := bytes.Split(bytes.TrimSuffix(text, []byte{'\n'}), []byte{'\n'})
	more := []byte(fmt.Sprintf("... %d more lines", len(lines)-rows+1))
	if len(lines) > rows {
		lines = append(lines[:rows-1:rows-1], more)
	}
	b := &s.buffer
	b.Reset()
	b.WriteString(home)
	for i, line := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.Write(cut(line, columns))
		b.WriteString(rest)
	}
	b.WriteString(below)
	_, err := s.out.Write(b.Bytes())
	return err
}

// cut returns what fits of a line.
func cut(line []byte, columns int) []byte {
	for i := 0; i < len(line); columns-- {
		if columns == 0 {
			return line[:i]
		}
		_, n := utf8.DecodeRune(line[i:])
		i += n
	}
	return line
}

// Keys sends the keys that are pressed, until ctx is done or the terminal is
// gone; then keys is closed.
func (s *Screen) Keys(ctx context.Context, keys chan<- byte) {
	defer close(keys)
	var p [16]byte
	for ctx.Err() == nil {
		n, err := unix.Read(int(s.in.Fd()), p[:])
		if errors.Is(err, unix.EINTR) || errors.Is(err, unix.EAGAIN) {
			continue
		}
		if err != nil {
			return
		}
		for _, k := range p[:n] {
			select {
			case keys <- k:
			case <-ctx.Done():
				return
			}
		}
	}
}
