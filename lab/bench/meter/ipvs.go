package main

import (
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// The table has more rows than there are connections, so that no walk along a
// chain blurs the counts. A kernel whose table grows by itself ignores it.
const tableBits = "conn_tab_bits=20"

// services are forwarded by NAT: the method where the director sees both
// directions.
const services = "-A -t 198.51.100.1:80 -s rr\n-a -t 198.51.100.1:80 -r 203.0.113.2:8080 -m\n" +
	"-A -u 198.51.100.1:80 -s rr\n-a -u 198.51.100.1:80 -r 203.0.113.2:8080 -m\n"

// loadIPVS loads IPVS with an empty table.
func (n *network) loadIPVS() error {
	if err := program("/sbin/modprobe", "ip_vs", tableBits); err != nil {
		return err
	}
	if err := program("/sbin/modprobe", "ip_vs_rr"); err != nil {
		return err
	}
	_, err := n.director.Feed(services, "/sbin/ipvsadm", "-R")
	return err
}

// unloadIPVS takes it away with all of its connections.
func (n *network) unloadIPVS() error {
	_, err := n.director.Run("/sbin/ipvsadm", "-C")
	return errors.Join(err, program("/sbin/modprobe", "-r", "ip_vs_rr", "ip_vs"))
}

// checkIPVS fails where IPVS has not seen exactly what was sent.
func (n *network) checkIPVS(connections int) error {
	text, err := n.director.ReadFile("ip_vs_stats")
	if err != nil {
		return err
	}
	// Two lines of titles, then: connections, packets in, packets out ...
	lines := strings.Split(string(text), "\n")
	if len(lines) < 3 {
		return fmt.Errorf("ip_vs_stats: %q", text)
	}
	fields := strings.Fields(lines[2])
	for i, want := range []int{connections, n.clients.sent, n.servers.sent} {
		if i >= len(fields) {
			return fmt.Errorf("ip_vs_stats: %q", lines[2])
		}
		got, err := strconv.ParseInt(fields[i], 16, 64)
		if err != nil {
			return fmt.Errorf("ip_vs_stats: %w", err)
		}
		if got != int64(want) {
			return fmt.Errorf("IPVS counts %s connections, packets in and out (hexadecimal); %d, %d and %d were sent",
				strings.Join(fields[:3], ", "), connections, n.clients.sent, n.servers.sent)
		}
	}
	return nil
}

func program(argv ...string) error {
	if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", strings.Join(argv, " "), err, out)
	}
	return nil
}
