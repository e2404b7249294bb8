// Package debian runs guests with Debian 12's user space: systemd, udev, dpkg,
// DKMS. Other guests have busybox.
package debian

import (
	"context"
	"path/filepath"

	"github.com/ssyncp/ssyncp/lab/build"
	"github.com/ssyncp/ssyncp/lab/image"
	"github.com/ssyncp/ssyncp/lab/vm"
)

const initProgram = "/init.disk"

// A System is what guests are made of.
type System struct {
	kernel build.Kernel
	disk   string
	initrd string
}

// Given is where guests have the files that Make was given.
const Given = "/run/given"

// Make makes a system of a kernel of lab/kernels; its initrd goes to directory.
// Files of this machine are given to the guests, by their names there.
func Make(ctx context.Context, kernel, directory string, given map[string]string) (System, error) {
	var s System
	var err error
	if s.kernel, err = build.FetchKernel(ctx, kernel); err != nil {
		return System{}, err
	}
	if s.disk, err = build.Disk(ctx, s.kernel); err != nil {
		return System{}, err
	}
	root, err := build.Root()
	if err != nil {
		return System{}, err
	}
	s.initrd = filepath.Join(directory, "initrd")
	files := map[string]string{initProgram: filepath.Join(root, "lab/debian/init.sh")}
	for name, file := range given {
		files["/given/"+name] = file
	}
	return s, image.Write(ctx, image.Spec{Kernel: s.kernel, Files: files}, s.initrd)
}

// Start boots a guest, whose host name is its name. What it writes to its disk is
// gone with it.
func (s System) Start(ctx context.Context, c vm.Config) (*vm.Guest, error) {
	c.Kernel, c.Initrd, c.Disk = s.kernel.Image, s.initrd, s.disk
	c.Append += " rdinit=" + initProgram + " systemd.hostname=" + c.Name +
		" systemd.show_status=no systemd.mask=serial-getty@ttyS0.service systemd.mask=getty@tty1.service"
	return vm.Start(ctx, c)
}
