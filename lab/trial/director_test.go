package trial

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/vm"
)

// A director is a guest with Debian.
type director struct {
	*vm.Guest
	ctx context.Context
}

// shell runs a script, with -e.
func (d director) shell(t *testing.T, script string) string {
	t.Helper()
	out, err := d.Shell(d.ctx, script)
	if err != nil {
		t.Fatalf("%s: %s: %v\n%s", d.Name(), script, err, out)
	}
	return strings.TrimSpace(out)
}

// all is shell with what was said on standard error, of a command that may fail.
func (d director) all(script string) (string, error) {
	out, err := d.Shell(d.ctx, "exec 2>&1; "+script)
	return strings.TrimSpace(out), err
}

func (d director) put(t *testing.T, path, content string) {
	t.Helper()
	if err := d.WriteFile(d.ctx, path, []byte(content)); err != nil {
		t.Fatal(err)
	}
}

// show returns a property of the unit.
func (d director) show(t *testing.T, property string) string {
	t.Helper()
	return d.shell(t, "systemctl show --value --property="+property+" ssyncpd")
}

// eventually waits until nothing is wrong any more.
func eventually(t *testing.T, limit time.Duration, wrong func() string) {
	t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(500 * time.Millisecond) {
		what := wrong()
		if what == "" {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v: %s", limit, what)
		}
	}
}

// synced waits until a director is synced, with a peer that is.
func (d director) synced(t *testing.T, peer string) {
	t.Helper()
	eventually(t, 2*time.Minute, func() string {
		out, err := d.all("ssyncpd status")
		if err == nil && strings.HasPrefix(out, "synced\n") &&
			slices.ContainsFunc(strings.Split(out, "\n"), func(line string) bool {
				f := strings.Fields(line)
				return len(f) > 3 && f[1] == peer && f[3] == "synced"
			}) {
			return ""
		}
		return fmt.Sprintf("%s: %v\n%s", d.Name(), err, out)
	})
}

// What director-a has beside itself: clients on the network of eth0 and two
// addresses of real servers on that of eth2, in namespaces. They are there for
// both directors, wherever the addresses of the service and of the gateway are.
const (
	// addresses are those that keepalived moves. It tells the neighbours, too.
	addresses = `ip addr add 192.0.2.80/24 dev eth0
ip addr add 10.0.2.1/24 dev eth2
ip -n client neigh flush all
ip -n server neigh flush all
`
	// The silent connections outlive DKMS, which takes half an hour in a guest.
	service = `ipvsadm --set 7200 0 0
ipvsadm -A -t 192.0.2.80:80 -s rr
ipvsadm -a -t 192.0.2.80:80 -r 10.0.2.21:80 -m
`
	// The director is as near to the networks as the others are: a macvlan
	// speaks to its siblings and to the outside, but not to the interface
	// below.
	scene = `for end in client:0:192.0.2.10/24 server:2:10.0.2.21/24; do
	name=${end%%:*} rest=${end#*:}
	number=${rest%%:*} address=${rest#*:}
	ip link set eth$number down
	ip link set eth$number name below$number
	ip link set below$number up
	ip link add link below$number name eth$number type macvlan mode bridge
	ip netns add $name
	ip link add link below$number name end$number type macvlan mode bridge
	ip link set end$number netns $name name eth0
	ip -n $name link set lo up
	ip -n $name link set eth0 up
	ip -n $name addr add $address dev eth0
done
ip -n server addr add 10.0.2.22/24 dev eth0
ip -n server route add default via 10.0.2.1
cat >/root/serve.pl <<'END'
use IO::Socket::INET; use IO::Select;
my $listener = IO::Socket::INET->new(LocalPort => 80, Listen => 512, ReuseAddr => 1) or die $!;
my $all = IO::Select->new($listener);
while (1) {
	for my $one ($all->can_read) {
		if ($one == $listener) { $all->add(scalar $one->accept) }
		elsif (sysread($one, my $text, 4096)) { syswrite($one, $text) }
		else { $all->remove($one); close $one }
	}
}
END
cat >/root/open.pl <<'END'
use IO::Socket::INET;
my @open;
for (1 .. $ARGV[0]) {
	my $one = IO::Socket::INET->new(PeerAddr => "192.0.2.80:80", Timeout => 10) or die $!;
	syswrite($one, "x");
	sysread($one, my $text, 1) == 1 or die "no answer";
	push @open, $one;
	select(undef, undef, undef, 0.05);
}
print scalar(@open), " open\n";
$| = 1; sleep 1 while 1;
END
cat >/root/talk.pl <<'END'
use IO::Socket::INET; use IO::Select;
$| = 1;
my @open;
for (1 .. $ARGV[0]) {
	push @open, IO::Socket::INET->new(PeerAddr => "192.0.2.80:80", Timeout => 10) || die $!;
}
print scalar(@open), " open\n";
for (my $round = 1; ; $round++) {
	for my $one (@open) {
		syswrite($one, "x") == 1 or die "a stream ended: $!\n";
		IO::Select->new($one)->can_read(60) or die "a stream is silent\n";
		sysread($one, my $text, 1) == 1 or die "a stream ended: $!\n";
	}
	print "round $round\n";
	sleep 1;
}
END
systemd-run --quiet --unit=server ip netns exec server perl /root/serve.pl
`
)

// crowd are clients that open so many connections at 20 a second, and keep them.
type crowd struct {
	of    director
	unit  string
	count int
}

// opens starts a crowd.
func (d director) opens(t *testing.T, unit string, count int) crowd {
	t.Helper()
	return d.starts(t, "open.pl", unit, count)
}

func (d director) starts(t *testing.T, program, unit string, count int) crowd {
	t.Helper()
	d.shell(t, fmt.Sprintf("systemd-run --quiet --unit=%s --property=LimitNOFILE=4096 ip netns exec client perl /root/%s %d", unit, program, count))
	return crowd{d, unit, count}
}

// ready waits until all of them are open.
func (c crowd) ready(t *testing.T) {
	t.Helper()
	eventually(t, 2*time.Minute, func() string {
		out, err := c.of.all("journalctl -q -o cat -u " + c.unit)
		if err == nil && strings.Contains(out, fmt.Sprintf("%d open", c.count)) {
			return ""
		}
		return fmt.Sprintf("%s: %v\n%s", c.unit, err, out)
	})
}

// table returns a director's established connections of the service, of all or of
// those that it owns.
func (d director) table(t *testing.T, owned bool) []string {
	t.Helper()
	var list []string
	for _, line := range strings.Split(d.shell(t, "ssyncpd dump"), "\n") {
		f := strings.Fields(line)
		if len(f) > 6 && f[2] == "ESTABLISHED" && (!owned || slices.Contains(f, "local")) {
			list = append(list, f[0]+" "+strings.Join(f[3:6], " "))
		}
	}
	slices.Sort(list)
	return list
}

// tells waits until the peer has all connections that the director owns, which
// are so many.
func (d director) tells(t *testing.T, peer director, count int) {
	t.Helper()
	eventually(t, time.Minute, func() string {
		own, copies := d.table(t, true), peer.table(t, false)
		if len(own) != count {
			return fmt.Sprintf("%s owns %d connections, %d were opened; all that it has:\n%s", d.Name(), len(own), count, d.shell(t, "ssyncpd dump"))
		}
		for _, one := range own {
			if _, has := slices.BinarySearch(copies, one); !has {
				return fmt.Sprintf("%s does not have %s of %d; it has %d", peer.Name(), one, count, len(copies))
			}
		}
		return ""
	})
}
