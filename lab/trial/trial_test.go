package trial

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/build"
	"github.com/ssyncp/ssyncp/lab/debian"
	"github.com/ssyncp/ssyncp/lab/lan"
	"github.com/ssyncp/ssyncp/lab/vm"
)

var (
	kernel   = flag.String("kernel", "", "`name` in lab/kernels; without it, only what needs no guest is tried")
	prebuilt = flag.Bool("prebuilt", false, "DKMS builds nothing in the guests, which takes minutes: the module is there")
)

const prebuiltModule = "ssyncp.ko"

// boot starts two directors with a link between them, eth1; clients are on eth0,
// real servers on eth2. They are given the files.
func boot(t *testing.T, given map[string]string) (a, b director) {
	t.Helper()
	directory, err := os.MkdirTemp("", "ssyncp-trial-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if !t.Failed() {
			os.RemoveAll(directory)
		}
	})
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	system, err := debian.Make(ctx, *kernel, directory, given)
	if err != nil {
		t.Fatal(err)
	}
	var segments []string
	for _, name := range []string{"front", "sync", "back"} {
		segment, err := lan.Listen(filepath.Join(directory, name))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { segment.Close() })
		segments = append(segments, segment.Path())
	}
	guests := make([]*vm.Guest, 2)
	errs := make([]error, 2)
	var both sync.WaitGroup
	began := time.Now()
	for i, name := range []string{"director-a", "director-b"} {
		both.Go(func() {
			guests[i], errs[i] = system.Start(ctx, vm.Config{
				Name: name, Memory: 1024, Segments: segments, Directory: directory, Boot: 5 * time.Minute,
			})
		})
	}
	both.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, guest := range guests {
		t.Cleanup(func() {
			if err := errors.Join(guest.Stop(context.Background()), guest.Check()); err != nil {
				t.Error(err)
			}
		})
	}
	t.Logf("booted in %.0f s", time.Since(began).Seconds())
	return director{guests[0], ctx}, director{guests[1], ctx}
}

// prepare does what is not a new user's: addresses, of which those of the link are
// public ones, and root's way from A to B.
func prepare(t *testing.T, a, b director) {
	t.Helper()
	for i, d := range []director{a, b} {
		if i == 0 {
			d.shell(t, scene)
		}
		d.shell(t, "sysctl -q net.ipv4.ip_forward=1")
		for dev, network := range []string{"192.0.2.%d/24", "203.0.113.%d/24", "10.0.2.%d/24"} {
			d.shell(t, fmt.Sprintf("ip link set eth%d up; ip addr add "+network+" dev eth%[1]d", dev, i+2))
		}
		d.shell(t, "echo 203.0.113.3 director-b >>/etc/hosts")
		d.shell(t, "cp -r "+debian.Given+"/. /root/")
		if *prebuilt {
			d.shell(t, "touch /etc/dkms/no-autoinstall; install -D -m 644 -t /lib/modules/$(uname -r)/updates/dkms /root/"+prebuiltModule+"; depmod")
		}
		d.put(t, "/etc/apt/apt.conf.d/90yes", "APT::Get::Assume-Yes \"true\";\n")
	}
	key := a.shell(t, "install -d -m 700 /root/.ssh; ssh-keygen -q -t ed25519 -N '' -f /root/.ssh/id_ed25519; cat /root/.ssh/id_ed25519.pub")
	b.shell(t, "install -d -m 700 /root/.ssh; systemctl start ssh")
	b.put(t, "/root/.ssh/authorized_keys", key+"\n")
	a.shell(t, "ssh-keyscan -T 60 -t ed25519 director-b >/root/.ssh/known_hosts")
}

// packages makes those of this tree, and such of a later version, which are in
// next/. It returns the two versions, and the files by their names.
func packages(t *testing.T) (version, next string, files map[string]string) {
	t.Helper()
	directory := t.TempDir()
	files = map[string]string{}
	make := func(in, version string) string {
		t.Helper()
		if err := build.Packages(t.Context(), filepath.Join(directory, in), version); err != nil {
			t.Fatal(err)
		}
		found, err := filepath.Glob(filepath.Join(directory, in, "*.deb"))
		if err != nil || len(found) != 2 {
			t.Fatalf("%q, %v", found, err)
		}
		for _, file := range found {
			files[filepath.Join(in, filepath.Base(file))] = file
		}
		return strings.Split(filepath.Base(found[0]), "_")[1]
	}
	version = make("", "")
	return version, make("next", version+"+next"), files
}

func module(t *testing.T) string {
	t.Helper()
	k, err := build.FetchKernel(t.Context(), *kernel)
	if err != nil {
		t.Fatal(err)
	}
	file, err := build.Module(t.Context(), k)
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// follow does what README.md says, on two directors.
func follow(t *testing.T, s Session, a, b director) {
	t.Helper()
	on := func(d director, command string) {
		began := time.Now()
		// The kernel is one of machines in a cloud.
		command = strings.ReplaceAll(command, "linux-headers-amd64", "linux-headers-cloud-amd64")
		out, err := d.all("cd /root; export DEBIAN_FRONTEND=noninteractive; " + command)
		if err != nil {
			t.Errorf("%s: %s: %v\n%s", d.Name(), command, err, out)
		}
		t.Logf("%s# %s\n%s\n(%.0f s)", d.Name(), command, out, time.Since(began).Seconds())
	}
	both := func(list []string) {
		for _, command := range list {
			var wait sync.WaitGroup
			for _, d := range []director{a, b} {
				wait.Go(func() { on(d, command) })
			}
			wait.Wait()
			if t.Failed() {
				t.FailNow()
			}
		}
	}
	both(s.Install)
	for _, d := range []director{a, b} {
		if out, err := d.all("systemctl is-enabled ssyncpd || systemctl is-active ssyncpd || true"); out != "disabled\ninactive" {
			t.Errorf("%s: installed, and the unit is: %s (%v)", d.Name(), out, err)
		}
	}
	for _, command := range s.OnOne {
		on(a, command)
	}
	for _, d := range []director{a, b} {
		file, err := Apply(s.Settings, d.shell(t, "cat /etc/ssyncp/ssyncpd.toml")+"\n")
		if err != nil {
			t.Fatal(err)
		}
		d.put(t, "/etc/ssyncp/ssyncpd.toml", file)
	}
	both(s.Start)
	for _, command := range s.Look {
		on(a, command)
	}
}

func TestNewUser(t *testing.T) {
	if *kernel == "" {
		t.Skip("no -kernel: make trial")
	}
	session := readSession(t)
	version, next, files := packages(t)
	if *prebuilt {
		files[prebuiltModule] = module(t)
	}
	a, b := boot(t, files)
	prepare(t, a, b)
	follow(t, session, a, b)
	a.synced(t, "director-b")
	b.synced(t, "director-a")
	t.Logf("%d commands to two directors that are synced", session.Length())
	t.Run("keepalived", func(t *testing.T) { withKeepalived(t, readPair(t), a, b) })
	// From here on the addresses stay.
	a.shell(t, addresses)
	for _, d := range []director{a, b} {
		d.shell(t, service)
	}
	opened := 0

	t.Run("the first connections are on the other director", func(t *testing.T) {
		a.opens(t, "crowd-first", 20).ready(t)
		opened += 20
		a.tells(t, b, opened)
	})
	t.Run("the unit's sandbox", func(t *testing.T) { sandbox(t, a) })
	t.Run("ssyncpd doctor", func(t *testing.T) { examined(t, a) })
	t.Run("a reload", func(t *testing.T) { reload(t, a) })
	t.Run("a restart under traffic", func(t *testing.T) {
		was := a.show(t, "MainPID")
		opened += underTraffic(t, a, "crowd-restart", func() { a.shell(t, "systemctl restart ssyncpd") })
		if a.show(t, "MainPID") == was {
			t.Error("nothing was restarted")
		}
		a.tells(t, b, opened)
		a.synced(t, "director-b")
	})
	t.Run("SIGKILL under traffic", func(t *testing.T) {
		opened += underTraffic(t, a, "crowd-kill", func() {
			was := a.show(t, "NRestarts")
			a.shell(t, "systemctl kill -s KILL ssyncpd")
			eventually(t, 30*time.Second, func() string {
				if n := a.show(t, "NRestarts"); n == was {
					return "NRestarts=" + n
				}
				return ""
			})
		})
		a.tells(t, b, opened)
		a.synced(t, "director-b")
	})
	t.Run("a daemon that hangs", func(t *testing.T) { hang(t, b) })
	t.Run("an upgrade under traffic", func(t *testing.T) {
		was := a.show(t, "MainPID")
		opened += underTraffic(t, a, "crowd-upgrade", func() { a.shell(t, "apt-get install -q /root/next/ssyncpd_*.deb") })
		if out := a.shell(t, "ssyncpd --version"); !strings.HasPrefix(out, "ssyncpd "+next+" ") {
			t.Errorf("the version is %s", out)
		}
		if a.show(t, "MainPID") == was {
			t.Error("the old daemon still runs")
		}
		a.tells(t, b, opened)
		a.synced(t, "director-b")
	})
	t.Run("a version that does not take the configuration", func(t *testing.T) { refused(t, a, version) })
	t.Run("the module", func(t *testing.T) {
		t.Run("upgraded while it is used", func(t *testing.T) {
			t.Parallel()
			upgradeModule(t, a, next)
		})
		t.Run("removed, purged, and installed again", func(t *testing.T) {
			t.Parallel()
			again(t, b)
		})
	})
	a.synced(t, "director-b")
	b.synced(t, "director-a")
	a.tells(t, b, opened)
}

// underTraffic does something while connections are opened, and returns how many
// that were.
func underTraffic(t *testing.T, d director, unit string, do func()) int {
	t.Helper()
	const count = 100
	c := d.opens(t, unit, count)
	time.Sleep(time.Second)
	do()
	c.ready(t)
	for _, counter := range []string{"lost_events", "dropped_drained", "dropped_full"} {
		if out := d.shell(t, "ssyncpd stats"); !regexp.MustCompile(`(?m)^\s*` + counter + `\s+0$`).MatchString(out) {
			t.Errorf("%s:\n%s\n%s", counter, out, d.shell(t, "journalctl -q -o short-monotonic -n 40 -u ssyncpd -u "+unit))
		}
	}
	return count
}

func sandbox(t *testing.T, d director) {
	pid := d.show(t, "MainPID")
	status := d.shell(t, "cat /proc/"+pid+"/status")
	for name, want := range map[string]string{
		"CapEff": "0000000000003000", "CapPrm": "0000000000003000", "CapBnd": "0000000000003000", "NoNewPrivs": "1", "Seccomp": "2",
	} {
		if !regexp.MustCompile(`(?m)^` + name + `:\s+` + want + `$`).MatchString(status) {
			t.Errorf("%s is not %s:\n%s", name, want, status)
		}
	}
	for script, want := range map[string]string{
		"ps -o user=,group= -p " + pid + " | tr -s ' '":                          "ssyncp ssyncp",
		"stat -c '%U %G %a' /dev/ssyncp":                                         "root ssyncp 660",
		"stat -c '%U %G %a' /etc/ssyncp":                                         "root ssyncp 2750",
		"stat -c '%U %G %a' /etc/ssyncp/key":                                     "root ssyncp 640",
		"systemctl is-enabled ssyncpd":                                           "enabled",
		"ls /proc/" + pid + "/root/home | wc -l":                                 "0",
		"ls /proc/" + pid + "/root/dev | grep -c '^[hsv]d[a-z]$' || true":        "0",
		"systemctl show --property=IPAddressAllow ssyncpd | grep -o ' 203[^ ]*'": "203.0.113.0/24",
	} {
		if out := d.shell(t, script); out != want {
			t.Errorf("%s: %s, want %s", script, out, want)
		}
	}
	out := d.shell(t, "systemd-analyze security --no-pager --threshold=15 ssyncpd | tail -1")
	t.Log(out)
}

func reload(t *testing.T, d director) {
	const file = "/etc/ssyncp/ssyncpd.toml"
	pid := d.show(t, "MainPID")
	d.shell(t, `sed -i 's/^level = .*/level = "debug"/' `+file+"; systemctl reload ssyncpd")
	journal := func(want string) {
		t.Helper()
		eventually(t, 30*time.Second, func() string {
			out := d.shell(t, "journalctl -q -o cat -u ssyncpd -n 40")
			if strings.Contains(out, want) {
				return ""
			}
			return "no " + want + " in the journal:\n" + out
		})
	}
	journal("reloaded")
	d.shell(t, "cp "+file+" /root/good; sed -i 's/^sync_id = .*/sync_id = 300/' "+file+"; systemctl reload ssyncpd")
	journal("sync_id = 300")
	d.shell(t, `cp /root/good `+file+`; sed -i 's/^level = .*/level = "info"/' `+file+"; systemctl reload ssyncpd")
	if is := d.show(t, "MainPID"); is != pid {
		t.Errorf("the daemon was %s, and is %s", pid, is)
	}
	d.synced(t, "director-b")
}

// hang stops the daemon, as a loop that does not come back would: the watchdog
// starts it anew.
func hang(t *testing.T, d director) {
	was := d.show(t, "NRestarts")
	d.shell(t, "kill -STOP "+d.show(t, "MainPID"))
	eventually(t, 2*time.Minute, func() string {
		if n := d.show(t, "NRestarts"); n == was {
			return "NRestarts=" + n
		}
		return ""
	})
	if out := d.shell(t, "journalctl -q -o cat -u ssyncpd -n 60"); !strings.Contains(out, "Failed with result 'watchdog'") {
		t.Errorf("the journal:\n%s", out)
	}
	d.synced(t, "director-a")
}

// refused installs a version with a configuration that it does not take: the
// daemon that runs goes on.
func refused(t *testing.T, d director, version string) {
	const file = "/etc/ssyncp/ssyncpd.toml"
	pid := d.show(t, "MainPID")
	d.shell(t, "cp "+file+" /root/good; sed -i 's/^sync_id = .*/sync_id = 300/' "+file)
	out, err := d.all("apt-get install -q --allow-downgrades /root/ssyncpd_*.deb")
	if err != nil || !strings.Contains(out, "sync_id = 300: out of range") || !strings.Contains(out, "the old one goes on") {
		t.Errorf("%v\n%s", err, out)
	}
	if out := d.shell(t, "ssyncpd --version"); !strings.HasPrefix(out, "ssyncpd "+version+" ") {
		t.Errorf("the version is %s", out)
	}
	if is := d.show(t, "MainPID"); is != pid {
		t.Errorf("the daemon was %s, and is %s", pid, is)
	}
	d.shell(t, "cp /root/good "+file+"; systemctl restart ssyncpd")
	d.synced(t, "director-b")
}

// upgradeModule must leave the module that is loaded alone.
func upgradeModule(t *testing.T, d director, next string) {
	const loaded = "systemctl show --value --property=MainPID ssyncpd; cat /sys/module/ssyncp/srcversion /sys/module/ssyncp/refcnt"
	was := d.shell(t, loaded)
	d.shell(t, "apt-get install -q /root/next/ssyncp-dkms_*.deb")
	if is := d.shell(t, loaded); is != was {
		t.Errorf("what was loaded was\n%s\nand is\n%s", was, is)
	}
	if *prebuilt {
		return
	}
	if out := d.shell(t, "dkms status ssyncp"); !strings.HasPrefix(out, "ssyncp/"+next+", ") || !strings.HasSuffix(out, ": installed") || strings.Contains(out, "\n") {
		t.Errorf("dkms: %s", out)
	}
}

// again removes, purges and installs everything.
func again(t *testing.T, d director) {
	d.shell(t, "apt-get remove -q ssyncpd ssyncp-dkms")
	find := "find /lib/modules -name 'ssyncp.ko*'"
	if *prebuilt {
		find = "true"
	}
	for script, want := range map[string]string{
		find:                                  "",
		"systemctl is-active ssyncpd || true": "inactive",
		"ls /etc/ssyncp":                      "key\nssyncpd.toml",
		"dkms status ssyncp":                  "",
		"command -v ssyncpd || true":          "",
		"pgrep -c ssyncpd || true":            "0",
		"ls -d /sys/module/ssyncp":            "/sys/module/ssyncp",
	} {
		if out := d.shell(t, script); out != want {
			t.Errorf("removed: %s: %q, want %q", script, out, want)
		}
	}
	out, err := d.all("dpkg --purge ssyncpd ssyncp-dkms")
	if err != nil || !strings.Contains(out, "/etc/ssyncp stays") {
		t.Errorf("%v\n%s", err, out)
	}
	for script, want := range map[string]string{
		"ls /etc/ssyncp":                                        "key",
		"ls -d /run/ssyncp 2>/dev/null || true":                 "",
		"find /etc/systemd -name 'ssyncpd*'":                    "",
		"getent passwd ssyncp | cut -d: -f1":                    "ssyncp",
		"dpkg-query -W ssyncpd ssyncp-dkms 2>/dev/null || true": "",
	} {
		if out := d.shell(t, script); out != want {
			t.Errorf("purged: %s: %q, want %q", script, out, want)
		}
	}
	// The queue outlives its reader by ten seconds, and holds the module.
	eventually(t, 30*time.Second, func() string {
		out, err := d.all("rmmod ssyncp")
		if err != nil {
			return out
		}
		return ""
	})
	d.shell(t, "apt-get install -q /root/next/*.deb")
	if out := d.shell(t, "systemctl is-enabled ssyncpd || true"); out != "disabled" {
		t.Errorf("installed again, the unit is %s", out)
	}
	d.shell(t, "modprobe ssyncp; systemctl enable --now ssyncpd")
}
