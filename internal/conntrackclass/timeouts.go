package conntrackclass

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

// Settings is where the kernel shows the timeouts of the network namespace of
// the calling thread.
const Settings = "/proc/sys/net/netfilter"

// timeouts are those of this host: by them, what is left of an entry's time
// becomes its age.
type timeouts struct {
	tcp                    [10]time.Duration
	sctp                   [9]time.Duration
	udp, udpStream         time.Duration
	gre, greStream         time.Duration
	icmp, icmpv6, generic  time.Duration
	unacknowledged, resent time.Duration
}

// load reads them. Those that the kernel does not have stay as they are: 0,
// which is none.
func (t *timeouts) load(dir string) error {
	list := []struct {
		name string
		to   *time.Duration
	}{
		{"udp_timeout", &t.udp}, {"udp_timeout_stream", &t.udpStream},
		{"gre_timeout", &t.gre}, {"gre_timeout_stream", &t.greStream},
		{"icmp_timeout", &t.icmp}, {"icmpv6_timeout", &t.icmpv6}, {"generic_timeout", &t.generic},
		{"tcp_timeout_unacknowledged", &t.unacknowledged}, {"tcp_timeout_max_retrans", &t.resent},
	}
	for i := range t.tcp {
		name := strings.ToLower(conntrack.StateName(conntrack.TCP, conntrack.State(i)))
		if conntrack.State(i) == conntrack.TCPSynSent2 {
			name = "syn_sent"
		}
		list = append(list, struct {
			name string
			to   *time.Duration
		}{"tcp_timeout_" + name, &t.tcp[i]})
	}
	for i := range t.sctp {
		name := strings.ToLower(conntrack.StateName(conntrack.SCTP, conntrack.State(i)))
		list = append(list, struct {
			name string
			to   *time.Duration
		}{"sctp_timeout_" + name, &t.sctp[i]})
	}
	for _, s := range list {
		text, err := os.ReadFile(filepath.Join(dir, "nf_conntrack_"+s.name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("conntrackclass: timeouts: %w", err)
		}
		seconds, err := strconv.ParseUint(strings.TrimSpace(string(text)), 10, 32)
		if err != nil {
			return fmt.Errorf("conntrackclass: timeouts: %s: %w", s.name, err)
		}
		*s.to = time.Duration(seconds) * time.Second
	}
	return nil
}

// of returns the timeout of an entry's state, 0 where it is not known.
func (t *timeouts) of(e *conntrack.Entry) time.Duration {
	assured := e.Status&conntrack.Assured != 0
	either := func(not, is time.Duration) time.Duration {
		if assured {
			return is
		}
		return not
	}
	switch e.Protocol {
	case conntrack.TCP:
		if int(e.State) < len(t.tcp) {
			return t.tcp[e.State]
		}
	case conntrack.SCTP:
		if int(e.State) < len(t.sctp) {
			return t.sctp[e.State]
		}
	case conntrack.UDP, conntrack.UDPLite:
		return either(t.udp, t.udpStream)
	case conntrack.GRE:
		return either(t.gre, t.greStream)
	case conntrack.ICMP:
		return t.icmp
	case conntrack.ICMPv6:
		return t.icmpv6
	default:
		return t.generic
	}
	return 0
}

// short is the lifetime of a connection of TCP with a segment that is not
// acknowledged.
func (t *timeouts) short() time.Duration { return max(t.unacknowledged, t.resent) }

// put sets timeout and age of an entry by what is left of its time. A segment
// of TCP that is not acknowledged makes that short: it is not the last minutes
// of days without any.
func (t *timeouts) put(e *conntrack.Entry, left time.Duration) {
	full := t.of(e)
	if short := t.short(); e.Protocol == conntrack.TCP && full > short && left <= short {
		full = short
	}
	e.Timeout = max(full, left)
	e.Age = e.Timeout - left
}
