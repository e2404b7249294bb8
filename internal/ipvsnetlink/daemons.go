package ipvsnetlink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// ErrNoIPVS says that the kernel has no IPVS, or that it is not loaded.
var ErrNoIPVS = errors.New("IPVS is not there")

// Daemon is a sync daemon of the kernel.
type Daemon struct {
	Master    bool // else it is a backup
	Interface string
	SyncID    uint32
}

// Of linux/ip_vs.h.
const (
	familyName        = "IPVS"
	familyVersion     = 1
	commandGetDaemon  = 11
	attributeDaemon   = 3
	attributeState    = 1
	attributeMcastIFN = 2
	attributeSyncID   = 3
	stateMaster       = 1
)

// Sizes of headers.
const (
	messageHeader   = unix.NLMSG_HDRLEN
	genericHeader   = 4
	attributeHeader = 4

	typeMask = 0x3fff // of an attribute, without its flags
)

// Daemons returns the sync daemons that run in the network namespace of the
// calling thread. It takes CAP_NET_ADMIN.
func Daemons() ([]Daemon, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_GENERIC)
	if err != nil {
		return nil, fmt.Errorf("netlink: socket: %w", err)
	}
	defer unix.Close(fd)
	wait := unix.Timeval{Sec: 2}
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &wait); err != nil {
		return nil, fmt.Errorf("netlink: SO_RCVTIMEO: %w", err)
	}
	family, err := familyID(fd)
	if err != nil {
		return nil, err
	}
	var daemons []Daemon
	err = ask(fd, request(family, unix.NLM_F_DUMP, commandGetDaemon, familyVersion, nil), func(attributes []byte) {
		each(attributes, func(kind uint16, value []byte) {
			if kind == attributeDaemon {
				daemons = append(daemons, daemonOf(value))
			}
		})
	})
	if err != nil {
		return nil, fmt.Errorf("sync daemons of IPVS: %w", err)
	}
	return daemons, nil
}

// familyID asks which number the family has.
func familyID(fd int) (family uint16, err error) {
	name := binary.NativeEndian.AppendUint16(nil, uint16(attributeHeader+len(familyName)+1))
	name = binary.NativeEndian.AppendUint16(name, unix.CTRL_ATTR_FAMILY_NAME)
	name = append(name, familyName+"\x00"...)
	for len(name)%4 != 0 {
		name = append(name, 0)
	}
	err = ask(fd, request(unix.GENL_ID_CTRL, unix.NLM_F_ACK, unix.CTRL_CMD_GETFAMILY, 1, name), func(attributes []byte) {
		each(attributes, func(kind uint16, value []byte) {
			if kind == unix.CTRL_ATTR_FAMILY_ID && len(value) >= 2 {
				family = binary.NativeEndian.Uint16(value)
			}
		})
	})
	switch {
	case errors.Is(err, unix.ENOENT), err == nil && family == 0:
		return 0, ErrNoIPVS
	case err != nil:
		return 0, fmt.Errorf("netlink family of IPVS: %w", err)
	}
	return family, nil
}

// daemonOf reads the attributes of one daemon.
func daemonOf(attributes []byte) (d Daemon) {
	each(attributes, func(kind uint16, value []byte) {
		switch {
		case kind == attributeMcastIFN:
			d.Interface = strings.TrimRight(string(value), "\x00")
		case len(value) < 4:
		case kind == attributeState:
			d.Master = binary.NativeEndian.Uint32(value) == stateMaster
		case kind == attributeSyncID:
			d.SyncID = binary.NativeEndian.Uint32(value)
		}
	})
	return d
}

// request builds a message.
func request(family uint16, flags int, command, version uint8, attributes []byte) []byte {
	m := binary.NativeEndian.AppendUint32(nil, uint32(messageHeader+genericHeader+len(attributes)))
	m = binary.NativeEndian.AppendUint16(m, family)
	m = binary.NativeEndian.AppendUint16(m, uint16(unix.NLM_F_REQUEST|flags))
	m = binary.NativeEndian.AppendUint32(m, 1) // sequence
	m = binary.NativeEndian.AppendUint32(m, 0) // port: the kernel knows
	m = append(m, command, version, 0, 0)
	return append(m, attributes...)
}

// ask sends a request and hands over the attributes of each answer, until the
// kernel says that this was all.
func ask(fd int, message []byte, answer func(attributes []byte)) error {
	if err := unix.Sendto(fd, message, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	buffer := make([]byte, 32<<10)
	for {
		n, _, err := unix.Recvfrom(fd, buffer, 0)
		if err == unix.EINTR {
			continue
		} else if err != nil {
			return err
		}
		for rest := buffer[:n]; len(rest) >= messageHeader; {
			size := int(binary.NativeEndian.Uint32(rest))
			if size < messageHeader || size > len(rest) {
				return unix.EBADMSG
			}
			body := rest[messageHeader:size]
			switch kind := binary.NativeEndian.Uint16(rest[4:]); {
			case kind == unix.NLMSG_DONE:
				return nil
			case kind == unix.NLMSG_ERROR && len(body) >= 4:
				if errno := int32(binary.NativeEndian.Uint32(body)); errno != 0 {
					return unix.Errno(-errno)
				}
				return nil
			case len(body) >= genericHeader:
				answer(body[genericHeader:])
			}
			rest = rest[min(align(size), len(rest)):]
		}
	}
}

// each calls f for each attribute.
func each(attributes []byte, f func(kind uint16, value []byte)) {
	for len(attributes) >= attributeHeader {
		size := int(binary.NativeEndian.Uint16(attributes))
		if size < attributeHeader || size > len(attributes) {
			return
		}
		f(binary.NativeEndian.Uint16(attributes[2:])&typeMask, attributes[attributeHeader:size])
		attributes = attributes[min(align(size), len(attributes)):]
	}
}

func align(n int) int { return (n + 3) &^ 3 }
