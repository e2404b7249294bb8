package image

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"

	"github.com/ssyncp/ssyncp/lab/build"
)

// The kernel's own modules that guests get, and all that these need. A kernel
// may have one of them built in, or not have it: a test that needs it says so.
var kernelModules = []string{
	// disks
	"virtio_blk", "ext4",
	// cards and links
	"virtio_pci", "virtio_net", "veth", "bridge", "macvlan", "dummy", "ifb", "bonding",
	// tunnels
	"ipip", "sit", "ip6_tunnel", "ip_gre", "ip6_gre", "fou", "fou6",
	// IPVS
	"ip_vs", "ip_vs_rr", "ip_vs_wrr", "ip_vs_lc", "ip_vs_wlc", "ip_vs_fo", "ip_vs_ovf", "ip_vs_lblc",
	"ip_vs_lblcr", "ip_vs_dh", "ip_vs_sh", "ip_vs_mh", "ip_vs_sed", "ip_vs_nq", "ip_vs_twos",
	"ip_vs_ftp", "ip_vs_pe_sip",
	// netfilter
	"nf_conntrack", "nf_conntrack_netlink", "nf_conntrack_ftp", "nf_nat", "nf_nat_ftp", "nft_objref", "nf_tables", "nft_ct", "nft_counter", "nft_nat", "nft_masq", "nft_chain_nat",
	"nft_compat", "xt_mark", "xt_MARK", "iptable_mangle", "iptable_nat", "iptable_filter",
	// traffic control
	"sch_netem", "sch_tbf", "sch_ingress", "cls_u32", "cls_matchall", "act_mirred", "act_gact",
	// protocols, and what counts and watches
	"sctp", "af_packet_diag", "inet_diag", "tcp_diag", "udp_diag",
}

// addModules adds the kernel's modules under lib/modules, decompressed, with
// the indices of depmod.
func addModules(ctx context.Context, a *archive, k build.Kernel) error {
	files, err := moduleFiles(k.Modules)
	if err != nil {
		return err
	}
	needed, err := withDependencies(ctx, k, files)
	if err != nil {
		return err
	}
	stage, err := os.MkdirTemp("", "ssyncp-modules-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(stage)
	tree := filepath.Join(stage, "lib/modules", k.Release)
	for _, name := range needed {
		if err := unpackModule(ctx, files[name], filepath.Join(tree, "kernel", name+".ko")); err != nil {
			return err
		}
	}
	for _, list := range []string{"modules.builtin", "modules.builtin.modinfo", "modules.order"} {
		err := copyFile(filepath.Join(k.Modules, list), filepath.Join(tree, list))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	if out, err := exec.CommandContext(ctx, "/sbin/depmod", "-b", stage, k.Release).CombinedOutput(); err != nil {
		return fmt.Errorf("image: depmod: %w\n%s", err, out)
	}
	return filepath.WalkDir(tree, func(file string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		relative, err := filepath.Rel(stage, file)
		if err != nil {
			return err
		}
		a.file(relative, file)
		return a.err
	})
}

// moduleFiles maps the name of each module to its file.
func moduleFiles(directory string) (map[string]string, error) {
	files := make(map[string]string)
	err := filepath.WalkDir(directory, func(file string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if name, _, is := strings.Cut(path.Base(file), ".ko"); is && !d.IsDir() {
			// File names may have a dash where the module has an underscore.
			files[strings.ReplaceAll(name, "-", "_")] = file
		}
		return nil
	})
	if err == nil && len(files) == 0 {
		err = fmt.Errorf("image: no modules in %s", directory)
	}
	return files, err
}

// withDependencies returns the modules of the list that this kernel has, each
// after those that it needs.
func withDependencies(ctx context.Context, k build.Kernel, files map[string]string) ([]string, error) {
	var ordered []string
	visited := make(map[string]bool)
	var visit func(name string) error
	visit = func(name string) error {
		name = strings.ReplaceAll(name, "-", "_")
		file, has := files[name]
		if visited[name] || !has {
			return nil
		}
		visited[name] = true
		out, err := exec.CommandContext(ctx, "/sbin/modinfo", "-F", "depends", file).Output()
		if err != nil {
			return fmt.Errorf("image: modinfo %s: %w", file, err)
		}
		// The checksum libraries name their drivers by softdep alone.
		soft, err := exec.CommandContext(ctx, "/sbin/modinfo", "-F", "softdep", file).Output()
		if err != nil {
			return fmt.Errorf("image: modinfo %s: %w", file, err)
		}
		depends := strings.FieldsFunc(string(out), func(r rune) bool { return r == ',' || r == '\n' })
		for _, word := range strings.Fields(string(soft)) {
			if word != "pre:" && word != "post:" {
				depends = append(depends, word)
			}
		}
		for _, d := range depends {
			if err := visit(d); err != nil {
				return err
			}
		}
		ordered = append(ordered, name)
		return nil
	}
	for _, name := range append([]string{"crc32c_generic", "crc32c_intel", "libcrc32c"}, kernelModules...) {
		if err := visit(name); err != nil {
			return nil, err
		}
	}
	return ordered, nil
}

func unpackModule(ctx context.Context, from, to string) error {
	if err := os.MkdirAll(filepath.Dir(to), 0o755); err != nil {
		return err
	}
	tool, packed := map[string]string{".xz": "xz", ".zst": "zstd", ".gz": "gzip"}[filepath.Ext(from)]
	if !packed {
		return copyFile(from, to)
	}
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	defer out.Close()
	command := exec.CommandContext(ctx, tool, "-dc", from)
	command.Stdout = out
	command.Stderr = os.Stderr
	if err := command.Run(); err != nil {
		return fmt.Errorf("image: %s -dc %s: %w", tool, from, err)
	}
	return out.Close()
}

func copyFile(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, b, 0o644)
}
