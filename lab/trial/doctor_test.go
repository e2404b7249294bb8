package trial

import (
	"strings"
	"testing"
	"time"
)

// examined has ssyncpd doctor look at a director where all is well, and then with
// what the daemon's user may not do, one thing after the other.
func examined(t *testing.T, d director) {
	wants := func(words string) {
		t.Helper()
		eventually(t, 20*time.Second, func() string {
			if out, _ := d.all("ssyncpd doctor"); !strings.Contains(out, words) {
				return "no " + words + ":\n" + out
			}
			return ""
		})
	}
	wants("Nothing to mend.")
	for _, fault := range []struct{ make, mend, words string }{
		{"chmod 600 /etc/ssyncp/key", "chmod 640 /etc/ssyncp/key", "user ssyncp, who ssyncpd runs as, cannot read the key file /etc/ssyncp/key"},
		{"chgrp root /etc/ssyncp/key", "chgrp ssyncp /etc/ssyncp/key", "others have access to it, its mode is 0640"},
		{"chmod 700 /etc/ssyncp", "chmod 2750 /etc/ssyncp", "the directory /etc/ssyncp is closed to it"},
		{"chgrp root /dev/ssyncp", "chgrp ssyncp /dev/ssyncp", "user ssyncp, who ssyncpd runs as, may not open /dev/ssyncp"},
		// The unit lets through what the link had when it started.
		{"ip addr del 203.0.113.2/24 dev eth1; ip addr add 198.51.100.1/24 dev eth1", "ip addr del 198.51.100.1/24 dev eth1; ip addr add 203.0.113.2/24 dev eth1",
			"the unit drops packets of 198.51.100.1 without a word"},
		{"systemctl stop ssyncpd", "systemctl start ssyncpd", "ssyncpd is enabled and does not run"},
	} {
		d.shell(t, fault.make)
		wants(fault.words)
		d.shell(t, fault.mend)
	}
	d.synced(t, "director-b")
	wants("Nothing to mend.")
}
