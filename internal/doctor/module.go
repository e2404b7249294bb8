package doctor

import "strings"

// module looks whether the kernel module is there.
func (x *examination) module() {
	if x.loaded("ssyncp") {
		version, err := x.host.Files.ReadFile("/sys/module/ssyncp/version")
		if err == nil {
			x.fact("ssyncp %s is loaded", strings.TrimSpace(string(version)))
		} else {
			x.fact("ssyncp is loaded")
		}
		x.installed()
		if v, err := x.host.Files.ReadFile("/sys/module/ssyncp/parameters/accept_unbound"); err == nil && strings.TrimSpace(string(v)) == "Y" &&
			x.sysctl("ipv4.vs.expire_nodest_conn") == "1" {
			x.find(Warning, "sysctl -w net.ipv4.vs.expire_nodest_conn=0, or accept_unbound=N (docs/policy.md)",
				"accept_unbound takes connections without their real server, and net.ipv4.vs.expire_nodest_conn=1 ends each at its first packet")
		}
		return
	}
	if x.available("ssyncp") {
		remedy := "modprobe ssyncp; /usr/lib/modules-load.d/ssyncp.conf has it loaded at every boot"
		if x.locked() {
			remedy += ". With Secure Boot it has to be signed with an enrolled key: mokutil --import /var/lib/dkms/mok.pub"
		}
		x.find(Failure, remedy, "the module ssyncp is not loaded")
		return
	}
	x.find(Failure, "apt-get install linux-headers-amd64 (or linux-headers-cloud-amd64), then dkms autoinstall, then modprobe ssyncp; `dkms status` and its make.log say what failed",
		"the module ssyncp is not loaded, and there is none for Linux %s", x.release())
}

// installed looks whether the module that is loaded is the one that would be.
func (x *examination) installed() {
	loaded, err := x.host.Files.ReadFile("/sys/module/ssyncp/srcversion")
	if err != nil {
		return
	}
	onDisk, err := x.host.Run(x.ctx, "modinfo", "-F", "srcversion", "ssyncp")
	if err != nil || strings.TrimSpace(string(onDisk)) == strings.TrimSpace(string(loaded)) {
		return
	}
	x.find(Note, "when it suits: systemctl stop ssyncpd, modprobe -r ssyncp, modprobe ssyncp, systemctl start ssyncpd; or at the next boot",
		"another version of the module is installed than the one that is loaded")
}

// locked reports whether the kernel takes signed modules alone.
func (x *examination) locked() bool {
	text, err := x.host.Files.ReadFile("/sys/kernel/security/lockdown")
	return err == nil && !strings.Contains(string(text), "[none]")
}
