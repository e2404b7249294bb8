package main

import (
	"context"
	"os"
	"path/filepath"

	"github.com/ssyncp/ssyncp/lab/vm"
)

// keepEvidence writes what the guests that are left have counted beside their
// consoles, for finding out why a run failed.
func (g *cast) keepEvidence(ctx context.Context, directory string) error {
	const common = "ip -s link; ip neigh; ip route; cat /proc/net/snmp /proc/net/netstat /proc/net/softnet_stat /proc/stat; "
	for _, witness := range []struct {
		guest *vm.Guest
		say   string
	}{
		{g.clients, common},
		{g.servers, common},
		{g.b, common + "cat /proc/net/ip_vs_stats; ipvsadm -Ln --stats; " +
			"awk '{ print $1, $8, $9 }' /proc/net/ip_vs_conn | sort | uniq -c; cat /run/ssyncpd.log || true"},
	} {
		s := newScript()
		s.say("%s", witness.say)
		said, err := s.output(ctx, witness.guest, "say what it counted")
		if err != nil {
			return err
		}
		err = os.WriteFile(filepath.Join(directory, witness.guest.Name()+".evidence"), said, 0o644)
		if err != nil {
			return err
		}
	}
	return nil
}
