package transport

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/net/ipv4"
)

// transmitter sends many datagrams by one call, in memory that it uses again.
type transmitter struct {
	writer   batchWriter
	reports  *reports
	messages []ipv4.Message
	everyone []net.Addr // the group, or the peers
	unicast  bool
	one      net.UDPAddr // whom SendTo sends to
	ip       [16]byte    // of it
}

func newTransmitter(w batchWriter, to []netip.Addr, port int, unicast bool, control []byte, r *reports) *transmitter {
	t := &transmitter{writer: w, reports: r, messages: make([]ipv4.Message, batchSize), unicast: unicast}
	for i := range t.messages {
		t.messages[i] = ipv4.Message{Buffers: make([][]byte, 1), OOB: control}
	}
	for _, address := range to {
		t.everyone = append(t.everyone, &net.UDPAddr{IP: address.AsSlice(), Port: port})
	}
	return t
}

// send sends each frame to each of these, in the order of the frames. Where one
// of several peers is not reached the others are. It returns how many frames
// went before an error.
func (t *transmitter) send(to []net.Addr, frames [][]byte, unicast bool) (int, error) {
	done, total := 0, len(frames)*len(to) // datagrams
	tries := 0
	for done < total {
		n := min(total-done, len(t.messages))
		for i := range n {
			m := &t.messages[i]
			m.Buffers[0] = frames[(done+i)/len(to)]
			m.Addr = to[(done+i)%len(to)]
		}
		sent, err := t.writer.WriteBatch(t.messages[:n], 0)
		if sent > 0 {
			done += sent
			tries = 0
		}
		if err == nil {
			continue
		}
		kind, pending, ok := peerErrorOf(err)
		if !unicast || !ok {
			return done / len(to), err
		}
		// It may be an ICMP error that came meanwhile, about another peer.
		if tries++; pending && tries < sendTries {
			continue
		}
		t.reports.add(PeerReport{Peer: addressOf(to[done%len(to)]), Kind: kind})
		done++
		tries = 0
	}
	return len(frames), nil
}

// sendTries is how often a datagram is sent where what fails may be an ICMP
// error that came before.
const sendTries = 4

// addressOf returns the address that a datagram goes to.
func addressOf(to net.Addr) netip.Addr {
	address, _ := netip.AddrFromSlice(to.(*net.UDPAddr).IP)
	return address.Unmap()
}

// peerErrorOf tells what is the matter with one peer from what is the matter
// with the link. It is pending where it may be about an earlier datagram.
func peerErrorOf(err error) (kind PeerError, pending, ok bool) {
	var errno syscall.Errno
	if !errors.As(err, &errno) {
		return PeerOther, false, false
	}
	pending = fromICMP(errno)
	switch errno {
	case syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EHOSTDOWN:
		return PeerNoRoute, pending, true
	case syscall.EMSGSIZE:
		return PeerTooLarge, pending, true
	case syscall.EPERM:
		return PeerFirewall, pending, true
	case syscall.ENOBUFS:
		return PeerQueue, pending, true
	case syscall.EINVAL: // an address that nobody can have
		return PeerOther, pending, true
	}
	return PeerOther, pending, pending
}

// fromICMP reports whether an ICMP error can be why a call on the socket fails.
func fromICMP(errno syscall.Errno) bool {
	switch errno {
	case syscall.ENETUNREACH, syscall.EHOSTUNREACH, syscall.EHOSTDOWN, syscall.ECONNREFUSED, syscall.EPROTO,
		syscall.ENOPROTOOPT, syscall.EMSGSIZE, syscall.EACCES, syscall.EOPNOTSUPP, syscall.ENONET:
		return true
	}
	return false
}

// Send sends frames in order, to the group or to each peer. Where it fails it
// returns how many were sent before.
func (l *Link) Send(frames [][]byte) (int, error) {
	n, err := l.transmitter.send(l.transmitter.everyone, frames, l.transmitter.unicast)
	if err != nil {
		if errors.Is(err, syscall.EPERM) {
			err = fmt.Errorf("%w: %w", ErrFirewall, err)
		}
		return n, fmt.Errorf("transport: %v: %w", l, err)
	}
	return n, nil
}

// SendTo sends frames in order to one peer, as Receive named it. That it is not
// reached is counted, and no error.
func (l *Link) SendTo(to netip.AddrPort, frames [][]byte) (int, error) {
	t := l.transmitter
	t.ip = to.Addr().As16()
	t.one.IP, t.one.Port = t.ip[:], int(to.Port())
	n, err := t.send(l.toOne, frames, true)
	if err != nil {
		return n, fmt.Errorf("transport: %v: to %v: %w", l, to, err)
	}
	return n, nil
}
