package doctor

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/pkg/wire"
)

// How a probe fails.
var (
	errSendDropped = errors.New("a rule of this host drops it before it leaves")
	errNotHeard    = errors.New("it is sent and does not come in")
)

const (
	probeTries = 3
	probeWait  = 300 * time.Millisecond
	udpHeader  = 8
)

// probe sends to the group with a TTL of 0, so that it goes through the rules of
// this host, and nowhere else: on the way out, and to hear it, on the way in. A
// daemon that runs here hears it then, too, and counts it under receive_dropped,
// ttl. The sockets are raw ones also where
// the link has a port, as that may be the daemon's already.
func probe(ctx context.Context, link config.Link, on Interface, hear bool) error {
	protocol := wire.Protocol
	if link.UDPPort != 0 {
		protocol = unix.IPPROTO_UDP
	}
	family := unix.AF_INET
	if link.Group.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return fmt.Errorf("raw socket: %w", err)
	}
	defer unix.Close(fd)
	to, err := prepare(fd, link, on, hear)
	if err != nil {
		return err
	}
	token := make([]byte, 16)
	rand.Read(token) // never fails
	packet := token
	if link.UDPPort != 0 {
		packet = binary.BigEndian.AppendUint16(nil, link.UDPPort)
		packet = binary.BigEndian.AppendUint16(packet, link.UDPPort)
		packet = binary.BigEndian.AppendUint16(packet, uint16(udpHeader+len(token)))
		packet = append(packet, 0, 0) // without a checksum, which a raw socket does not mind
		packet = append(packet, token...)
	}
	buffer := make([]byte, 1<<16)
	for range probeTries {
		switch err := unix.Sendto(fd, packet, 0, to); {
		case errors.Is(err, unix.EPERM):
			return errSendDropped
		case err != nil:
			return fmt.Errorf("send: %w", err)
		case !hear:
			return nil
		}
		for until := time.Now().Add(probeWait); time.Now().Before(until); {
			if err := ctx.Err(); err != nil {
				return err
			}
			// Its timeout ends the wait.
			n, _, err := unix.Recvfrom(fd, buffer, 0)
			if err == nil && bytes.HasSuffix(buffer[:n], token) {
				return nil
			}
		}
	}
	return errNotHeard
}

// prepare makes the socket send to the link's group and hear it.
func prepare(fd int, link config.Link, on Interface, hear bool) (to unix.Sockaddr, err error) {
	loop := 0
	if hear {
		loop = 1
	}
	wait := unix.NsecToTimeval(int64(probeWait / 4))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		return nil, fmt.Errorf("SO_RCVTIMEO: %w", err)
	}
	var failed []error
	set := func(what string, err error) {
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", what, err))
		}
	}
	if link.Group.Is6() {
		set("IPV6_MULTICAST_IF", unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_IF, on.Index))
		set("IPV6_MULTICAST_HOPS", unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_HOPS, 0))
		set("IPV6_MULTICAST_LOOP", unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_MULTICAST_LOOP, loop))
		set("join of group "+link.Group.String(), unix.SetsockoptIPv6Mreq(fd, unix.IPPROTO_IPV6, unix.IPV6_JOIN_GROUP,
			&unix.IPv6Mreq{Multiaddr: link.Group.As16(), Interface: uint32(on.Index)}))
		return &unix.SockaddrInet6{Addr: link.Group.As16(), ZoneId: uint32(on.Index)}, errors.Join(failed...)
	}
	member := unix.IPMreqn{Multiaddr: link.Group.As4(), Ifindex: int32(on.Index)}
	set("IP_MULTICAST_IF", unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF, &unix.IPMreqn{Ifindex: int32(on.Index)}))
	set("IP_MULTICAST_TTL", unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, 0))
	set("IP_MULTICAST_LOOP", unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_LOOP, loop))
	set("join of group "+link.Group.String(), unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_ADD_MEMBERSHIP, &member))
	return &unix.SockaddrInet4{Addr: link.Group.As4()}, errors.Join(failed...)
}
