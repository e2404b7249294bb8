package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"

	"github.com/ssyncp/ssyncp/lab/lan"
	"github.com/ssyncp/ssyncp/lab/vm"
)

// cast is the guests of one run.
type cast struct {
	clients, servers, a, b *vm.Guest
	switches               []*lan.Switch
}

// boot starts the switches and the guests, side by side.
func (s *stage) boot(ctx context.Context, directory string) (*cast, error) {
	if err := os.MkdirAll(directory, 0o755); err != nil {
		return nil, err
	}
	guests := &cast{}
	path := make(map[string]string)
	for _, name := range []string{frontSegment, syncSegment, backSegment} {
		segment, err := lan.Listen(filepath.Join(directory, name))
		if err != nil {
			guests.end()
			return nil, err
		}
		guests.switches = append(guests.switches, segment)
		path[name] = segment.Path()
	}
	front, sync, back := path[frontSegment], path[syncSegment], path[backSegment]
	start := func(name string, memory int, segments ...string) func() (*vm.Guest, error) {
		return func() (*vm.Guest, error) {
			return vm.Start(ctx, vm.Config{
				Name: name, Kernel: s.kernel.Image, Initrd: s.initrd, Memory: memory, Directory: directory,
				Segments: segments,
				// A guest has one thread of the host anyway.
				Append: "maxcpus=1",
			})
		}
	}
	err := sideBySide(
		into(&guests.clients, start("clients", 768, front)),
		into(&guests.servers, start("servers", 768, front, back)),
		into(&guests.a, start("director-a", 512, front, sync, back)),
		into(&guests.b, start("director-b", 512, front, sync, back)),
	)
	if err != nil {
		guests.end()
		return nil, err
	}
	return guests, nil
}

func (g *cast) setUp(ctx context.Context, c contestant) error {
	err := sideBySide(
		func() error { return setUpClients(ctx, g.clients) },
		func() error { return setUpServers(ctx, g.servers) },
		func() error { return setUpDirector(ctx, g.a, directorA) },
		func() error { return setUpDirector(ctx, g.b, directorB) },
	)
	if err != nil {
		return err
	}
	if err := c.start(ctx, g.a, g.b); err != nil {
		return err
	}
	return takeVirtualAddresses(ctx, g.a)
}

// takeOver makes director B the active one.
func (g *cast) takeOver(ctx context.Context) error {
	return sideBySide(
		func() error { return takeVirtualAddresses(ctx, g.b) },
		func() error {
			s := newScript()
			routeClients(s, directorB)
			return s.run(ctx, g.clients, "move the clients' routes")
		},
		func() error {
			s := newScript()
			routeServers(s, directorB)
			return s.run(ctx, g.servers, "move the real servers' routes")
		},
	)
}

func (g *cast) all() []*vm.Guest { return []*vm.Guest{g.clients, g.servers, g.a, g.b} }

// check fails where a kernel had something to say.
func (g *cast) check() error {
	var all error
	for _, guest := range g.all() {
		all = errors.Join(all, guest.Check())
	}
	return all
}

func (g *cast) end() {
	for _, guest := range g.all() {
		if guest != nil {
			guest.PowerOff()
		}
	}
	for _, segment := range g.switches {
		// Nobody is plugged in any more.
		_ = segment.Close()
	}
}

func into[T any](to *T, make func() (T, error)) func() error {
	return func() (err error) {
		*to, err = make()
		return err
	}
}

// sideBySide runs all and returns all errors.
func sideBySide(run ...func() error) error {
	errs := make(chan error)
	for _, f := range run {
		go func() { errs <- f() }()
	}
	var all error
	for range run {
		all = errors.Join(all, <-errs)
	}
	return all
}
