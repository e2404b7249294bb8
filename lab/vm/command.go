package vm

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/lab/control"
)

// A Command is a program to run in a guest. Output without a writer is
// discarded.
type Command struct {
	Argv   []string
	Env    []string // added to the guest's own
	Stdin  []byte
	Stdout io.Writer
	Stderr io.Writer
}

// An ExitError says that a program ran and failed.
type ExitError struct {
	Argv   []string
	Status int // its exit status, or 128 + the signal that ended it
}

func (e *ExitError) Error() string {
	return fmt.Sprintf("%s: exit status %d", strings.Join(e.Argv, " "), e.Status)
}

// Run runs a program in the guest and waits for its end: nil, an *ExitError, or
// ErrStopped where the guest ended first. When ctx ends the program is killed.
// Several can run at the same time.
func (g *Guest) Run(ctx context.Context, c Command) error {
	id, replies := g.port.begin()
	defer g.port.end(id)
	if err := g.port.send(control.Request{ID: id, Argv: c.Argv, Env: c.Env, Stdin: c.Stdin}); err != nil {
		return g.failure(fmt.Errorf("%w: %w", ErrStopped, err))
	}
	for {
		select {
		case r := <-replies:
			if done, err := c.take(r); done || err != nil {
				return err
			}
		case <-ctx.Done():
			// Where the port is gone the program is too.
			_ = g.port.send(control.Request{ID: id, Signal: int(unix.SIGKILL)})
			return fmt.Errorf("vm: %s: %s: %w", g.config.Name, strings.Join(c.Argv, " "), ctx.Err())
		case <-g.port.gone:
			return g.failure(ErrStopped)
		}
	}
}

// take handles one reply and says whether it was the last.
func (c Command) take(r control.Reply) (done bool, err error) {
	for _, output := range []struct {
		to   io.Writer
		text []byte
	}{{c.Stdout, r.Stdout}, {c.Stderr, r.Stderr}} {
		if output.to == nil || len(output.text) == 0 {
			continue
		}
		if _, err := output.to.Write(output.text); err != nil {
			return true, err
		}
	}
	switch {
	case !r.Done:
		return false, nil
	case r.Error != "":
		return true, fmt.Errorf("%s: %s", strings.Join(c.Argv, " "), r.Error)
	case r.Exit != 0:
		return true, &ExitError{c.Argv, r.Exit}
	}
	return true, nil
}

// Output runs a program and returns what it says on standard output; standard
// error is part of the error.
func (g *Guest) Output(ctx context.Context, argv ...string) (string, error) {
	var out, said bytes.Buffer
	if err := g.Run(ctx, Command{Argv: argv, Stdout: &out, Stderr: &said}); err != nil {
		return out.String(), fmt.Errorf("%w\n%s", err, bytes.TrimSpace(said.Bytes()))
	}
	return out.String(), nil
}

// Shell runs a script with sh -e.
func (g *Guest) Shell(ctx context.Context, script string) (string, error) {
	return g.Output(ctx, "sh", "-e", "-c", script)
}

// WriteFile makes a file in the guest.
func (g *Guest) WriteFile(ctx context.Context, path string, content []byte) error {
	return g.Run(ctx, Command{Argv: []string{"sh", "-c", `cat >"$0"`, path}, Stdin: content})
}
