package doctor

import (
	"path"
	"strconv"
	"strings"
)

// process is the running daemon.
type process struct {
	id           int
	user         int
	capabilities uint64 // that are effective
}

// Capabilities that the daemon needs, by their bits.
var needed = []struct {
	bit  uint
	name string
	what string
}{
	{12, "CAP_NET_ADMIN", "reading and writing connections"},
	{13, "CAP_NET_RAW", "IP protocol 114"},
}

// findDaemon looks for the process that has the device open in the network
// namespace of this one; only root sees what others have open.
func findDaemon(files Files, device string) *process {
	here, err := files.Readlink("/proc/self/ns/net")
	if err != nil || device == "" {
		return nil
	}
	self, _ := files.Readlink("/proc/self")
	for _, comm := range files.Glob("/proc/[0-9]*/comm") {
		directory := path.Dir(comm)
		if name, err := files.ReadFile(comm); err != nil || strings.TrimSpace(string(name)) != "ssyncpd" || path.Base(directory) == self {
			continue
		}
		if ns, err := files.Readlink(directory + "/ns/net"); err != nil || ns != here {
			continue
		}
		for _, fd := range files.Glob(directory + "/fd/*") {
			if to, err := files.Readlink(fd); err == nil && to == device {
				id, _ := strconv.Atoi(path.Base(directory))
				p := &process{id: id}
				p.user, p.capabilities = statusOf(files, directory)
				return p
			}
		}
	}
	return nil
}

// statusOf reads a process's user and effective capabilities.
func statusOf(files Files, directory string) (user int, capabilities uint64) {
	text, err := files.ReadFile(directory + "/status")
	if err != nil {
		return 0, 0
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		switch {
		case len(fields) >= 3 && fields[0] == "Uid:":
			user, _ = strconv.Atoi(fields[2]) // the effective one
		case len(fields) >= 2 && fields[0] == "CapEff:":
			capabilities, _ = strconv.ParseUint(fields[1], 16, 64)
		}
	}
	return user, capabilities
}

// missing returns the capabilities that are not among these, with what they are
// for.
func missing(capabilities uint64) []string {
	var list []string
	for _, c := range needed {
		if capabilities&(1<<c.bit) == 0 {
			list = append(list, c.name+", for "+c.what)
		}
	}
	return list
}
