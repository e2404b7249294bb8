package doctor

import (
	"errors"
	"fmt"
	"strings"

	"github.com/ssyncp/ssyncp/internal/keyring"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// lack is what does not work without a function of IPVS.
var lack = map[chardev.Missing]string{
	chardev.MissingFindDest:    "no copy is bound to its real server, so none is taken",
	chardev.MissingTryBindDest: "copies that wait for their real server are never bound to it",
	chardev.MissingCtInGet:     "templates of persistent services are not taken",
	chardev.MissingPEGetByName: "templates of persistence engines (SIP) are not taken",
	chardev.MissingConnSeqNext: "there are no snapshots: nobody is made whole",
	chardev.MissingFillCPort:   "FTP data connections do not learn their client port",
	chardev.MissingConnListen:  "FTP data connections are not told before their first packet",
	chardev.MissingServiceFind: "the service of a copy is not found, so none is taken",
}

// device asks the module.
func (x *examination) device() {
	path := x.Config.Device.Path
	if path == "" || !x.loaded("ssyncp") {
		return
	}
	x.node(path)
	device, err := x.host.Device(path)
	switch {
	case errors.Is(err, chardev.ErrPermission) && x.host.User != 0:
		x.find(Note, "run ssyncpd doctor as root", "%v", err)
		return
	case errors.Is(err, chardev.ErrNotLoaded):
		x.find(Failure, "udevadm trigger --subsystem-match=misc; without udev: mknod "+path+" c 10 $(sed -n 's/ ssyncp//p' /proc/misc)",
			"the module is loaded, and there is no %s", path)
		return
	case err != nil:
		x.find(Failure, "udevadm trigger --subsystem-match=misc makes it anew", "%v", err)
		return
	}
	defer device.Close()
	var s chardev.Stats
	if err := device.Stats(&s); err != nil {
		x.find(Failure, "device.path has to name the module's device, /dev/ssyncp", "%v", err)
		return
	}
	x.stats = &s
	x.fact("ABI %d, %d connections, %v", s.ABIVersion, s.ConnCount, s.State)
	if s.ABIVersion != chardev.ABIVersion {
		x.find(Failure, "install both from one release, then: systemctl stop ssyncpd, modprobe -r ssyncp, modprobe ssyncp, systemctl start ssyncpd",
			"the loaded module has ABI %d, and this ssyncpd speaks %d", s.ABIVersion, chardev.ABIVersion)
	}
	x.helpers(s.Missing)
	if s.State&chardev.StateBuried != 0 {
		x.find(Warning, "find out who hooks into IPVS (lsmod | grep ip_vs) and unload it first, then modprobe -r ssyncp works again",
			"another module has put itself on top of the hook of ssyncp: news may be missing, and ssyncp cannot be unloaded")
	}
	switch capturing := s.State&chardev.StateCapturing != 0; {
	case !capturing && x.status != nil:
		x.find(Failure, "journalctl -u ssyncpd says why; a daemon of this namespace must open the device of this namespace",
			"ssyncpd runs, and nobody reads %s in this network namespace", path)
	case capturing && x.status == nil && x.process == nil:
		x.find(Note, "fuser -v "+path+" says who", "somebody captures, and it is not the ssyncpd that admin.socket belongs to")
	}
}

// node looks at whose the device node is.
func (x *examination) node(path string) {
	as, ok := x.runsAs()
	s, err := x.host.Files.Stat(path)
	switch {
	case !ok || err != nil || !s.Device:
	case s.Mode&0o007 != 0:
		x.find(Warning, "chmod 660 "+path+"; contrib/60-ssyncp.rules is the udev rule that sets it", "everybody may open %s: its mode is %04o", path, s.Mode)
	case as.user != 0 && !(as.may(s, 4) && as.may(s, 2)):
		x.find(Failure, fmt.Sprintf("udevadm control --reload, udevadm trigger --subsystem-match=misc; or at once: chgrp %s %[2]s and chmod 660 %[2]s", keyring.Group, path),
			"user %s, who ssyncpd runs as, may not open %s: its mode is %04o, its owner user %d, group %d", as.name, path, s.Mode, s.User, s.Group)
	}
}

// helpers says what does not work without the functions that were not found.
func (x *examination) helpers(m chardev.Missing) {
	for bit := chardev.Missing(1); bit != 0 && bit <= m; bit <<= 1 {
		if m&bit == 0 {
			continue
		}
		what, known := lack[bit]
		if !known {
			what = "what needs it is refused"
		}
		x.find(Failure, "the kernel needs CONFIG_KPROBES=y and ip_vs as a module: dmesg | grep ssyncp says what was not found; then modprobe -r ssyncp, modprobe ssyncp",
			"the module did not find %s in ip_vs: %s", strings.TrimSpace(bit.String()), what)
	}
}
