// Command guest boots one guest with the module and the daemon in it and runs a
// program there. It fails where the program does, and where the guest's kernel
// has something to say that it should not:
//
//	go run ./lab/cmd/guest -- sh -c 'insmod /lib/modules/ssyncp.ko; dmesg'
//
// With -put the program comes from this machine, which is how `go test` runs
// tests in a guest:
//
//	go test -v -exec 'guest -put -interposer -kernel 6.1.176' -run Failover ./lab/guest
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path"
	"path/filepath"
	"syscall"
	"time"

	"github.com/ssyncp/ssyncp/lab/build"
	"github.com/ssyncp/ssyncp/lab/image"
	"github.com/ssyncp/ssyncp/lab/vm"
)

type options struct {
	kernel     string
	module     string
	interposer bool
	bare       bool
	put        bool
	memory     int
	append     string
	limit      time.Duration
	argv       []string
}

func main() {
	var o options
	flag.StringVar(&o.kernel, "kernel", "", "`name` in lab/kernels (default: its first)")
	flag.StringVar(&o.module, "module", "", "ssyncp.ko to take instead of building one")
	flag.BoolVar(&o.interposer, "interposer", false, "with interposer.ko, somebody else in the module's place")
	flag.BoolVar(&o.bare, "bare", false, "without the module and the daemon")
	flag.BoolVar(&o.put, "put", false, "put the program into the guest first: it is a static one of this machine")
	flag.IntVar(&o.memory, "memory", 0, "of the guest, in `MiB`")
	flag.StringVar(&o.append, "append", "", "`parameters` for the kernel's command line")
	flag.DurationVar(&o.limit, "limit", time.Hour, "end the guest after this time")
	flag.Parse()
	if o.argv = flag.Args(); len(o.argv) == 0 {
		fmt.Fprintln(os.Stderr, "usage: guest [flags] PROGRAM [ARGUMENT...]")
		flag.PrintDefaults()
		os.Exit(2)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, o)
	var exit *vm.ExitError
	switch {
	case errors.As(err, &exit):
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(exit.Status)
	case err != nil:
		fmt.Fprintln(os.Stderr, "guest:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	ctx, cancel := context.WithTimeout(ctx, o.limit)
	defer cancel()

	began := time.Now()
	kernel, err := build.FetchKernel(ctx, o.kernel)
	if err != nil {
		return err
	}
	files, err := o.files(ctx, kernel)
	if err != nil {
		return err
	}
	directory, err := os.MkdirTemp("", "ssyncp-guest-")
	if err != nil {
		return err
	}
	initrd := filepath.Join(directory, "initrd")
	if err := image.Write(ctx, image.Spec{Kernel: kernel, Files: files}, initrd); err != nil {
		return err
	}
	built := time.Now()
	guest, err := vm.Start(ctx, vm.Config{
		Name: "guest", Kernel: kernel.Image, Initrd: initrd,
		Memory: o.memory, Append: o.append, Directory: directory,
	})
	if err != nil {
		return err
	}
	// It is in the guest's memory now; a console that stays should be small.
	if err := os.Remove(initrd); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "guest: Linux %s: built in %.1f s, booted in %.1f s\n",
		kernel.Release, built.Sub(began).Seconds(), time.Since(built).Seconds())

	argv := append([]string{o.program()}, o.argv[1:]...)
	err = guest.Run(ctx, vm.Command{Argv: argv, Stdout: os.Stdout, Stderr: os.Stderr})
	err = errors.Join(err, guest.Stop(ctx), guest.Check())
	if err != nil {
		return err // and the console stays, for reading
	}
	return os.RemoveAll(directory)
}

// program is what runs, by its path in the guest.
func (o options) program() string {
	if o.put {
		return path.Join("/bin", filepath.Base(o.argv[0]))
	}
	return o.argv[0]
}

// files builds what the guest gets on top of the base image.
func (o options) files(ctx context.Context, kernel build.Kernel) (map[string]string, error) {
	files := make(map[string]string)
	var err error
	if o.put {
		files[o.program()] = o.argv[0]
	}
	if o.bare {
		return files, nil
	}
	if o.interposer {
		if files[image.Interposer], err = build.Interposer(ctx, kernel); err != nil {
			return nil, err
		}
	}
	if files[image.Daemon], err = build.Program(ctx, "./cmd/ssyncpd"); err != nil {
		return nil, err
	}
	if o.module != "" {
		files[image.Module] = o.module
		return files, nil
	}
	files[image.Module], err = build.Module(ctx, kernel)
	return files, err
}
