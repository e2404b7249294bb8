package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire"
)

// established is the client's connection as a peer of the director has it.
func (c client) established() ipvs.Conn {
	return ipvs.Conn{
		Client:   endpoint{c.address(), c.port()}.addrPort(),
		Virtual:  virtual.addrPort(),
		Dest:     server.addrPort(),
		Protocol: ipvs.TCP,
		State:    ipvs.TCPEstablished,
		Flags:    ipvs.Flags(ipvs.Masquerade),
	}
}

func (e endpoint) addrPort() netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, e.address))), e.port)
}

// openAdverts sends what ssyncpd of a peer would.
func openAdverts(n *network, list []client) (delivery, error) {
	var messages [][]byte
	var e wire.Encoder
	for i, c := range list {
		if i%wire.MaxConns == 0 {
			if err := e.Reset(nil, syncID); err != nil {
				return delivery{}, err
			}
		}
		conn := c.established()
		if err := e.Append(&conn); err != nil {
			return delivery{}, err
		}
		if e.Full() || i == len(list)-1 {
			messages = append(messages, e.Finish())
		}
	}
	return n.openMulticast(unix.SOCK_RAW, wire.Protocol, 0, 255, messages)
}

// Messages of the in-kernel master, version 1 of its protocol, as
// net/netfilter/ipvs/ip_vs_sync.c lays them out.
const (
	kernelPort     = 8848
	kernelHeader   = 8
	kernelEntry    = 36 // IPv4, without options
	kernelEntries  = 40 // with an MTU of 1500
	kernelTTL      = 1
	kernelProtocol = 1 // the version
)

// openKernelAdverts sends what the in-kernel master of a peer would.
func openKernelAdverts(n *network, list []client) (delivery, error) {
	var messages [][]byte
	for len(list) > 0 {
		count := min(len(list), kernelEntries)
		message := make([]byte, kernelHeader, kernelHeader+count*kernelEntry)
		message[1] = syncID
		binary.BigEndian.PutUint16(message[2:], uint16(cap(message)))
		message[4], message[5] = byte(count), kernelProtocol
		for _, c := range list[:count] {
			message = c.appendKernelEntry(message)
		}
		messages = append(messages, message)
		list = list[count:]
	}
	return n.openMulticast(unix.SOCK_DGRAM, 0, kernelPort, kernelTTL, messages)
}

// appendKernelEntry appends struct ip_vs_sync_v4.
func (c client) appendKernelEntry(p []byte) []byte {
	p = append(p, 0, unix.IPPROTO_TCP)
	p = binary.BigEndian.AppendUint16(p, kernelEntry)                 // version 0, and the size
	p = binary.BigEndian.AppendUint32(p, uint32(ipvs.Masquerade))     // flags
	p = binary.BigEndian.AppendUint16(p, uint16(ipvs.TCPEstablished)) //
	p = binary.BigEndian.AppendUint16(p, c.port())                    //
	p = binary.BigEndian.AppendUint16(p, virtual.port)                //
	p = binary.BigEndian.AppendUint16(p, server.port)                 //
	p = binary.BigEndian.AppendUint32(p, 0)                           // fwmark
	p = binary.BigEndian.AppendUint32(p, 900)                         // timeout, in seconds
	p = binary.BigEndian.AppendUint32(p, c.address())                 //
	p = binary.BigEndian.AppendUint32(p, virtual.address)             //
	return binary.BigEndian.AppendUint32(p, server.address)
}

// openMulticast sends messages from the world to the group, on the link of the
// directors, each of which has the time to take one in before the next.
func (n *network) openMulticast(kind, protocol, port, ttl int, messages [][]byte) (d delivery, err error) {
	if err := n.world.IP("addr add 192.168.81.2/24 dev sync\n"); err != nil {
		return d, err
	}
	fd := -1
	err = n.world.Do(func() (err error) {
		if fd, err = unix.Socket(unix.AF_INET, kind|unix.SOCK_CLOEXEC, protocol); err != nil {
			return fmt.Errorf("socket: %w", err)
		}
		return errors.Join(
			unix.SetsockoptIPMreqn(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_IF,
				&unix.IPMreqn{Address: [4]byte{192, 168, 81, 2}}),
			unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MULTICAST_TTL, ttl),
			unix.Connect(fd, &unix.SockaddrInet4{Port: port, Addr: netip.MustParseAddr(wire.Group).As4()}))
	})
	if err != nil {
		return d, err
	}
	return delivery{
		deliver: func() (int64, error) {
			return counted(func() error {
				for _, message := range messages {
					if err := sendRaw(fd, message); err != nil {
						return err
					}
				}
				return nil
			})
		},
		close: func() error { return unix.Close(fd) },
	}, nil
}
