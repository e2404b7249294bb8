package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/ssyncp/ssyncp/lab/build"
	"github.com/ssyncp/ssyncp/lab/image"
)

// A stage is what all failovers share: a kernel, an image that is the same for
// all guests, and somebody who listens.
type stage struct {
	kernel    build.Kernel
	initrd    string
	directory string
	shows     int
	rate      int // streams a second and forwarding method
	progress  func(format string, args ...any)
}

// onStage builds everything for the contestants and plays. The directory with
// the consoles stays when the play fails.
func onStage(ctx context.Context, kernel string, cast []contestant, play func(context.Context, *stage) error) error {
	begun := time.Now()
	s := &stage{
		rate:     defaultRate,
		progress: func(format string, args ...any) { fmt.Printf(format+"\n", args...) },
	}
	s.progress("Building: Debian kernel, guests, programs")
	var err error
	if s.directory, err = os.MkdirTemp("", "ssyncp-failover-"); err != nil {
		return err
	}
	if err := s.build(ctx, kernel, cast); err != nil {
		return err
	}
	s.progress("Built in %.0f s: Linux %s (%s)", time.Since(begun).Seconds(), s.kernel.Release, s.kernel.Version)
	if err := play(ctx, s); err != nil {
		return fmt.Errorf("%w\nthe consoles are in %s", err, s.directory)
	}
	return os.RemoveAll(s.directory)
}

func (s *stage) build(ctx context.Context, kernel string, cast []contestant) error {
	var err error
	if s.kernel, err = build.FetchKernel(ctx, kernel); err != nil {
		return err
	}
	files := make(map[string]string)
	if files[programStreams], err = build.Program(ctx, "./lab/failover/streams"); err != nil {
		return err
	}
	for _, c := range cast {
		if !c.ours {
			continue
		}
		if files[image.Daemon], err = build.Program(ctx, "./cmd/ssyncpd"); err != nil {
			return err
		}
		if files[image.Module], err = build.Module(ctx, s.kernel); err != nil {
			return err
		}
	}
	s.initrd = filepath.Join(s.directory, "initrd")
	return image.Write(ctx, image.Spec{Kernel: s.kernel, Files: files}, s.initrd)
}

// tries is how often a failover is begun that the machine is too busy for.
const tries = 5

// show plays one failover, in a directory of its own.
func (s *stage) show(ctx context.Context, c contestant) (result, error) {
	for try := 1; ; try++ {
		s.shows++
		r, err := s.failover(ctx, c, filepath.Join(s.directory, fmt.Sprintf("%s-%d", c.name, s.shows)))
		if !errors.Is(err, errBusy) || try == tries {
			return r, err
		}
		s.progress("  called off, and again: %v", err)
	}
}
