package doctor

import (
	"errors"

	"github.com/ssyncp/ssyncp/internal/ipvsnetlink"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// kernelDaemons looks for the sync daemons of the kernel.
func (x *examination) kernelDaemons() {
	daemons, err := x.host.SyncDaemons()
	known := err == nil
	switch {
	case errors.Is(err, ipvsnetlink.ErrNoIPVS):
		return
	case err != nil:
		x.find(Note, "run ssyncpd doctor as root, or look with ipvsadm --list --daemon", "whether the in-kernel sync daemon runs is not known: %v", err)
	}
	master, backup := false, false
	for _, d := range daemons {
		if d.Master {
			master = true
			x.find(Failure, "when ssyncpd runs on all directors: ipvsadm --stop-daemon master (docs/migrating.md)",
				"the in-kernel sync master runs (%s, sync ID %d): until it stops, ssyncp captures nothing", d.Interface, d.SyncID)
			continue
		}
		backup = true
		x.fact("backup on %s", d.Interface)
	}
	if !master && x.stats != nil && x.stats.State&chardev.StateMasterRunning != 0 {
		x.find(Failure, "ipvsadm --stop-daemon master", "the in-kernel sync master runs: until it stops, ssyncp captures nothing")
	}
	switch only := x.sysctl("ipv4.vs.backup_only") == "1"; {
	case !known:
	case backup && !only && !master:
		x.find(Warning, "ipvsadm --stop-daemon backup, when no director runs the in-kernel master any more",
			"the in-kernel backup runs, and net.ipv4.vs.backup_only, the one thing that it is of use for beside ssyncp, is 0")
	case only && !backup:
		x.find(Note, "nothing on the active director; on others: ipvsadm --start-daemon backup (docs/dr-directors.md)",
			"net.ipv4.vs.backup_only=1 holds only while the in-kernel backup runs, and it does not: this director forwards")
	}
}
