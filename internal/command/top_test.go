package command_test

import (
	"context"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/command"
	"github.com/ssyncp/ssyncp/internal/terminal/terminaltest"
)

// watching runs top on a terminal.
func watching(t *testing.T, socket string, columns, rows int) (pty *terminaltest.Terminal, ended chan error, stop func()) {
	t.Helper()
	pty = terminaltest.New(t, columns, rows)
	ctx, cancel := context.WithCancel(t.Context())
	ended = make(chan error, 1)
	go func() { ended <- command.Watch(ctx, admin.NewClient(socket), pty.Tty, pty.Tty) }()
	return pty, ended, cancel
}

func TestTopShowsTheStatusAgainAndAgainUntilQ(t *testing.T) {
	pty, ended, _ := watching(t, serve(t, member(), 1), 200, 50)
	at := pty.Shows("every second; q quits", 0)
	at = pty.Shows("lb1 (0000002a), sync ID 7", at)
	at = pty.Shows("receive_dropped", at)
	// And a second later once more.
	at = pty.Shows("lb1 (0000002a), sync ID 7", at)
	pty.Press("q")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	pty.Shows("\x1b[?1049l", at)
}

func TestTopFollowsTheWindow(t *testing.T) {
	pty, ended, stop := watching(t, serve(t, member(), 1), 200, 50)
	pty.Shows("receive_dropped", 0)
	pty.Resize(30, 4)
	at := len(pty.Seen())
	if err := syscall.Kill(syscall.Getpid(), syscall.SIGWINCH); err != nil {
		t.Fatal(err)
	}
	pty.Shows("more lines", at)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func TestTopSaysThatTheDaemonDoesNotAnswer(t *testing.T) {
	pty, ended, stop := watching(t, closed, 200, 50)
	pty.Shows("is ssyncpd running?", 0)
	select {
	case err := <-ended:
		t.Errorf("it ended: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	stop()
	<-ended
}

func TestTopNeedsATerminal(t *testing.T) {
	code, stdout, stderr := execute("top", "--admin-socket="+closed)
	if code != 1 || stdout != "" || !strings.Contains(stderr, "top needs a terminal") {
		t.Errorf("%d: %q, %q", code, stdout, stderr)
	}
}
