package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/ssyncp/ssyncp/internal/keyring"
	"github.com/ssyncp/ssyncp/lab/conntrackd"
)

// firewallRules forward to the server that IPVS would have chosen, and drop what
// conntrack cannot make sense of.
const firewallRules = `
table inet filter {
	chain forward {
		type filter hook forward priority 0;
		ct state invalid counter drop
	}
}
table ip nat {
	chain prerouting {
		type nat hook prerouting priority -100;
		ip daddr 198.51.100.1 tcp dport 80 dnat to 203.0.113.2:8080
	}
}
`

// becomeFirewall takes the services from IPVS, which then sees no packet, and
// makes the director a firewall in its place. Frames have no checksums, and
// sequence numbers that stay where they are: conntrack is told not to mind.
func (n *network) becomeFirewall() error {
	if _, err := n.director.Run("/sbin/ipvsadm", "-C"); err != nil {
		return err
	}
	if err := program("/sbin/modprobe", "-a", "nf_conntrack_netlink", "nft_chain_nat", "nft_nat", "nft_ct"); err != nil {
		return err
	}
	if _, err := n.director.Feed(firewallRules, "/sbin/nft", "-f", "-"); err != nil {
		return err
	}
	return errors.Join(n.director.Sysctl("netfilter.nf_conntrack_checksum", "0"), n.director.Sysctl("netfilter.nf_conntrack_tcp_be_liberal", "1"))
}

// checkFirewall fails where there are not exactly the entries of what was sent,
// or a packet was dropped.
func (n *network) checkFirewall(connections int) error {
	var text []byte
	err := n.director.Do(func() (err error) {
		text, err = os.ReadFile("/proc/sys/net/netfilter/nf_conntrack_count")
		return err
	})
	if err != nil {
		return err
	}
	// A daemon's own messages are of one connection more.
	count, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || count < connections || count > connections+2 {
		return fmt.Errorf("%s conntrack entries, of %d connections", strings.TrimSpace(string(text)), connections)
	}
	rules, err := n.director.Run("/sbin/nft", "list", "chain", "inet", "filter", "forward")
	if err == nil && !strings.Contains(rules, "counter packets 0 ") {
		err = fmt.Errorf("packets were dropped:\n%s", rules)
	}
	return err
}

const entriesConfig = `sync_id = 7
admin.socket = ""
[device]
period = "100ms"
[multicast]
interface = "` + peers + `"
[wire]
sender_id = 1
join_timeout = "1s"
key_file = %q
[conntrack]
enabled = true
except = ["` + syncAddress + `"]
`

// startEntries starts ssyncpd, which carries conntrack entries.
func startEntries(n *network) (func() error, error) {
	directory, err := os.MkdirTemp("", "meter-")
	if err != nil {
		return nil, err
	}
	key := filepath.Join(directory, "key")
	if _, err := keyring.Create(key); err != nil {
		return nil, err
	}
	stop, err := startDaemonWith(n, fmt.Sprintf(entriesConfig, key))
	if err == nil {
		time.Sleep(settle) // until it has joined, alone
	}
	return stop, err
}

const conntrackdPath = "/sbin/conntrackd"

// startConntrackd starts conntrackd.
func startConntrackd(n *network) (func() error, error) {
	if _, err := os.Stat(conntrackdPath); err != nil {
		return nil, fmt.Errorf("%w: lab/install-packages compare, on the host", err)
	}
	directory, err := os.MkdirTemp("", "meter-")
	if err != nil {
		return nil, err
	}
	path := filepath.Join(directory, "conntrackd.conf")
	config := conntrackd.Config{Directory: directory, Interface: peers, Address: netip.MustParseAddr(syncAddress)}
	if err := os.WriteFile(path, []byte(config.Text()), 0o600); err != nil {
		return nil, err
	}
	command := exec.Command(conntrackdPath, "-C", path)
	var log bytes.Buffer
	command.Stdout, command.Stderr = &log, &log
	if err := n.director.Start(command); err != nil {
		return nil, err
	}
	stop := func() error {
		if err := end(command, syscall.SIGTERM); err != nil {
			return fmt.Errorf("conntrackd: %w\n%s", err, log.Bytes())
		}
		return os.RemoveAll(directory)
	}
	return stop, within(10*time.Second, "conntrackd does not answer", func() (bool, error) {
		_, err := n.director.Run(conntrackdPath, "-C", path, "-s")
		return err == nil, nil
	})
}
