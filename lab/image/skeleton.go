package image

import _ "embed"

// initScript is the first process of a guest.
//
//go:embed init.sh
var initScript string

var directories = []string{
	"/dev", "/etc", "/mnt", "/proc", "/root", "/run", "/sys", "/tmp", "/usr/bin", "/usr/sbin", "/var/lib", "/var/run",
}

func addSkeleton(a *archive) {
	for _, d := range directories {
		a.directory(d)
	}
	a.text("/init", 0o755, initScript)
	a.text("/etc/passwd", 0o644, "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n")
	a.text("/etc/group", 0o644, "root:x:0:\nnogroup:x:65534:\n")
	a.text("/etc/hosts", 0o644, "127.0.0.1 localhost\n")
	a.text("/etc/nsswitch.conf", 0o644, "hosts: files\nservices: files\n")
	a.text("/etc/services", 0o644, "ftp 21/tcp\nhttp 80/tcp\n")
	a.text("/etc/protocols", 0o644, "ip 0 IP\nicmp 1 ICMP\ntcp 6 TCP\nudp 17 UDP\nsctp 132 SCTP\n")
}
