package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/ssyncp/ssyncp/lab/bench/figure"
	"github.com/ssyncp/ssyncp/lab/build"
	"github.com/ssyncp/ssyncp/lab/image"
	"github.com/ssyncp/ssyncp/lab/vm"
)

const (
	meter  = "/bin/meter"
	memory = 1024 // MiB

	// A busy machine changes nothing but how long it takes.
	bootLimit = 10 * time.Minute
)

// measure boots a guest for each repetition, several at a time.
func measure(ctx context.Context, o options, directory string) (build.Kernel, figure.Set, error) {
	kernel, err := build.FetchKernel(ctx, o.kernel)
	if err != nil {
		return kernel, nil, err
	}
	initrd := filepath.Join(directory, "initrd")
	if err := buildImage(ctx, o, kernel, initrd); err != nil {
		return kernel, nil, err
	}

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var (
		running sync.WaitGroup
		places  = make(chan struct{}, o.guests)
		all     = collection{began: time.Now(), progress: os.Stderr}
	)
	for repetition := range o.repetitions {
		running.Go(func() {
			places <- struct{}{}
			defer func() { <-places }()
			if err := repeat(ctx, o, repetition, kernel, initrd, directory, &all); err != nil {
				cancel(err)
			}
		})
	}
	running.Wait()
	return kernel, all.set, context.Cause(ctx)
}

func buildImage(ctx context.Context, o options, kernel build.Kernel, initrd string) error {
	files := make(map[string]string)
	for path, source := range map[string]string{meter: "./lab/bench/meter", image.Daemon: "./cmd/ssyncpd"} {
		var err error
		if files[path], err = build.Program(ctx, source); err != nil {
			return err
		}
	}
	var err error
	if files[image.Bare], err = build.BareModule(ctx, kernel); err != nil {
		return err
	}
	files[image.Module] = o.module
	if o.module == "" {
		if files[image.Module], err = build.Module(ctx, kernel); err != nil {
			return err
		}
	}
	return image.Write(ctx, image.Spec{Kernel: kernel, Files: files}, initrd)
}

// repeat takes all measurements once, in a guest of its own.
func repeat(ctx context.Context, o options, repetition int, kernel build.Kernel, initrd, directory string, all *collection) error {
	if err := context.Cause(ctx); err != nil {
		return err
	}
	guest, err := vm.Start(ctx, vm.Config{
		Name: fmt.Sprintf("bench%d", repetition+1), Kernel: kernel.Image, Initrd: initrd,
		Memory: memory, Counting: true, Directory: directory,
		// The kernel makes huge pages when it finds the time for it: four
		// million instructions that nobody asked for.
		Append: "transparent_hugepage=never",
		Boot:   bootLimit,
	})
	if err != nil {
		return err
	}
	err = guest.Run(ctx, vm.Command{
		Argv: []string{
			meter, "-repetition", strconv.Itoa(repetition), "-scale", fmt.Sprint(o.scale), "-load", o.load,
		},
		// Or the Go scheduler sends a signal every 10 ms to whoever runs that
		// long.
		Env:    []string{"GODEBUG=asyncpreemptoff=1"},
		Stdout: &lines{collection: all}, Stderr: os.Stderr,
	})
	return errors.Join(err, guest.Stop(ctx), guest.Check())
}

// A collection takes measurements from several guests and shows how far they
// are.
type collection struct {
	mu       sync.Mutex
	began    time.Time
	progress io.Writer
	set      figure.Set
}

func (c *collection) add(m figure.Measurement) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.set = append(c.set, m)
	fmt.Fprintf(c.progress, "%4.0f s  repetition %d: %s: %s: %.1f instructions, %d records, %d adverts\n",
		time.Since(c.began).Seconds(), m.Repetition+1, m.Load, m.Contestant, m.PerUnit(), m.Records, m.Adverts)
}

// lines takes the output of one guest: a measurement a line.
type lines struct {
	*collection
	rest []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		line, rest, complete := bytes.Cut(l.rest, []byte("\n"))
		if !complete {
			return len(p), nil
		}
		l.rest = rest
		var m figure.Measurement
		if err := json.Unmarshal(line, &m); err != nil {
			return 0, fmt.Errorf("%w in %q", err, line)
		}
		l.add(m)
	}
}
