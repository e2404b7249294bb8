package trial

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// withKeepalived does what docs/first-pair.md says: keepalived with the package's
// file on both directors, and the address moved to the other one and back. The
// streams go on.
func withKeepalived(t *testing.T, p Pair, a, b director) {
	directors := []director{a, b}
	for _, command := range p.Setup {
		for _, d := range directors {
			switch {
			case strings.HasPrefix(command, "editor /etc/keepalived/"):
				// Interfaces and addresses are those of the file.
				file := d.shell(t, "cat /etc/keepalived/keepalived.conf")
				d.put(t, "/etc/keepalived/keepalived.conf", strings.NewReplacer("@lb1", "@director-a", "@lb2", "@director-b").Replace(file)+"\n")
			case strings.HasPrefix(command, "editor /etc/ssyncp/"):
				file, err := Apply(p.Settings, d.shell(t, "cat /etc/ssyncp/ssyncpd.toml")+"\n")
				if err != nil {
					t.Fatal(err)
				}
				d.put(t, "/etc/ssyncp/ssyncpd.toml", file)
			default:
				out, err := d.all(command)
				if err != nil {
					t.Fatalf("%s: %s: %v\n%s", d.Name(), command, err, out)
				}
				t.Logf("%s# %s\n%s", d.Name(), command, out)
			}
		}
	}
	a.becomes(t, "master")
	b.becomes(t, "backup")
	for i, d := range directors {
		d.synced(t, directors[1-i].Name())
		if out := d.shell(t, "cat /run/ssyncp/synced"); out != "1" {
			t.Errorf("%s is synced, and the track file says %q", d.Name(), out)
		}
		if out := d.shell(t, "ipvsadm -Ln"); !strings.Contains(out, "192.0.2.80:80 rr") || !strings.Contains(out, "10.0.2.21:80") {
			t.Errorf("%s: keepalived has made no service:\n%s", d.Name(), out)
		}
	}

	const streams = 20
	talk := a.starts(t, "talk.pl", "talk", streams)
	talk.ready(t)
	a.tells(t, b, streams)

	a.shell(t, p.Move[0])
	b.becomes(t, "master")
	b.hasAddresses(t)
	talk.goesOn(t)
	b.owns(t, streams)
	if out := a.shell(t, "ssyncpd status"); role.MatchString(out) {
		t.Errorf("keepalived has stopped, and director-a has a role:\n%s", out)
	}

	a.shell(t, p.Move[1])
	a.becomes(t, "master")
	b.becomes(t, "backup")
	a.hasAddresses(t)
	talk.goesOn(t)
	a.owns(t, streams)
	a.synced(t, "director-b")

	a.shell(t, "systemctl stop talk")
	for _, d := range directors {
		d.shell(t, "systemctl disable -q --now keepalived; ipvsadm -C")
	}
}

var role = regexp.MustCompile(`(?m)^VI_1 +(\w+) `)

// becomes waits until `ssyncpd status` has a role for keepalived's instance.
func (d director) becomes(t *testing.T, want string) {
	t.Helper()
	eventually(t, 2*time.Minute, func() string {
		out, err := d.all("ssyncpd status")
		if m := role.FindStringSubmatch(out); err == nil && m != nil && m[1] == want {
			return ""
		}
		return fmt.Sprintf("%s is not %s: %v\n%s", d.Name(), want, err, out)
	})
}

// hasAddresses says whether what keepalived moves is here.
func (d director) hasAddresses(t *testing.T) {
	t.Helper()
	out := d.shell(t, "ip -brief addr")
	for _, address := range []string{"192.0.2.80/24", "10.0.2.1/24"} {
		if !slices.Contains(strings.Fields(out), address) {
			t.Errorf("%s is master without %s:\n%s", d.Name(), address, out)
		}
	}
}

var round = regexp.MustCompile(`(?m)^round (\d+)$`)

// goesOn waits for more rounds in which each stream has its answer.
func (c crowd) goesOn(t *testing.T) {
	t.Helper()
	rounds := func() (int, string) {
		out := c.of.shell(t, "journalctl -q -o cat -u "+c.unit)
		return len(round.FindAllString(out, -1)), out
	}
	before, _ := rounds()
	eventually(t, 2*time.Minute, func() string {
		n, out := rounds()
		if n >= before+3 {
			return ""
		}
		return fmt.Sprintf("%d rounds of %s, %d before:\n%s", n, c.unit, before, out)
	})
	if out := c.of.shell(t, "systemctl is-active "+c.unit+" || true"); out != "active" {
		t.Errorf("%s is %s:\n%s", c.unit, out, c.of.shell(t, "journalctl -q -o cat -u "+c.unit))
	}
}

// owns waits until a director sees the packets of so many connections.
func (d director) owns(t *testing.T, count int) {
	t.Helper()
	eventually(t, time.Minute, func() string {
		if own := d.table(t, true); len(own) != count {
			return fmt.Sprintf("%s owns %d connections of %d: %q", d.Name(), len(own), count, own)
		}
		return ""
	})
}
