package command

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/terminal"
)

// topEvery is how often the view is drawn anew.
const topEvery = time.Second

// errNoScreen says that top has nothing to draw on.
var errNoScreen = errors.New("top needs a terminal to draw on, and keys from it: without one, `ssyncpd status` says the same once")

// top shows the status, and goes on until q is pressed.
func top(inv *invocation) error {
	out, ok := inv.stdout.(*os.File)
	if !ok {
		return errNoScreen
	}
	client, err := connect(inv)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	return watch(ctx, client, os.Stdin, out)
}

// watch draws until ctx is done or q is pressed. That the daemon does not answer
// is shown, too: it may be restarted.
func watch(ctx context.Context, client *admin.Client, in, out *os.File) (err error) {
	screen, err := terminal.Open(in, out)
	if errors.Is(err, terminal.ErrNoTerminal) {
		return errNoScreen
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, screen.Close()) }()
	ctx, stop := context.WithCancel(ctx)
	keys := make(chan byte)
	go screen.Keys(ctx, keys)
	defer func() {
		stop()
		for range keys { // it reads no more when the terminal is given back
		}
	}()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, syscall.SIGWINCH)
	defer signal.Stop(resized)
	tick := time.NewTicker(topEvery)
	defer tick.Stop()
	var view []byte
	for fresh := true; ; {
		if fresh {
			view = appendView(view[:0], ctx, client)
		}
		if ctx.Err() != nil {
			return nil
		}
		if err := screen.Draw(view); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case k, ok := <-keys:
			if !ok || k == 'q' || k == 'Q' {
				return nil
			}
			fresh = true
		case <-resized:
			fresh = false
		case <-tick.C:
			fresh = true
		}
	}
}

// appendView appends what is shown now.
func appendView(dst []byte, ctx context.Context, client *admin.Client) []byte {
	dst = fmt.Appendf(dst, "%s  every second; q quits\n\n", time.Now().Format(time.TimeOnly))
	s, err := client.Status(ctx)
	if err != nil {
		out := bytes.NewBuffer(dst)
		for line := range strings.Lines(err.Error()) {
			fmt.Fprintln(out, strings.TrimSuffix(line, "\n"))
		}
		return out.Bytes()
	}
	return appendStatus(dst, &s)
}
