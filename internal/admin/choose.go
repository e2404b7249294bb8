package admin

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ssyncp/ssyncp/internal/peering"
)

// choose returns the peer that a text means: its sender ID, its name, or the
// address that it was heard from last. A sender ID is in hexadecimal, as it is
// shown, with 0x or without, or in decimal, as wire.sender_id has it: where
// digits mean one peer in one way and another in the other, or a name, it is
// more than one. What begins with 0x is hexadecimal alone.
//
// All starts of a director are one: the latest heard is returned.
func choose(peers []peering.PeerStatus, text string) (*peering.PeerStatus, error) {
	var chosen *peering.PeerStatus
	var all []peering.PeerStatus
	several := false
	for i := range peers {
		p := &peers[i]
		if !means(text, p) {
			continue
		}
		all = append(all, *p)
		several = several || chosen != nil && chosen.Peer.Sender != p.Peer.Sender
		if chosen == nil || p.Heard.After(chosen.Heard) {
			chosen = p
		}
	}
	switch {
	case chosen == nil:
		return nil, fmt.Errorf("%w as %q: %s", ErrUnknown, text, list(peers, "it is one of"))
	case several:
		return nil, fmt.Errorf("%w is meant by %q: name it by its sender ID, with 0x before it: %s", ErrSeveral, text, list(all, "it is one of"))
	}
	return chosen, nil
}

func means(text string, p *peering.PeerStatus) bool {
	if text == p.Name || text == p.Peer.String() {
		return true
	}
	hexadecimal, marked := strings.CutPrefix(strings.ToLower(text), "0x")
	if n, err := strconv.ParseUint(hexadecimal, 16, 32); err == nil && uint32(n) == p.Peer.Sender {
		return true
	}
	if n, err := strconv.ParseUint(text, 10, 32); err == nil && !marked && text[0] != '0' && uint32(n) == p.Peer.Sender {
		return true
	}
	if address, err := netip.ParseAddrPort(text); err == nil {
		return address == p.Origin.Addr
	}
	address, err := netip.ParseAddr(text)
	at := p.Origin.Addr.Addr()
	return err == nil && (address == at || address == at.WithZone(""))
}

// nobody says why none of the peers was asked; sender ID 0 is all.
func nobody(peers []peering.PeerStatus, sender uint32) error {
	if sender != 0 {
		peers = slices.DeleteFunc(slices.Clone(peers), func(p peering.PeerStatus) bool { return p.Peer.Sender != sender })
	}
	return fmt.Errorf("%w: %s", ErrNobody, list(peers, "what was heard of is"))
}

// list has a line for each peer.
func list(peers []peering.PeerStatus, are string) string {
	if len(peers) == 0 {
		return "no peer was heard of: do the directors have the same sync_id, key and link?"
	}
	now := time.Now()
	lines := make([]string, len(peers))
	for i := range peers {
		p := peerOf(&peers[i], now)
		lines[i] = fmt.Sprintf("\n  %v at %s: %s, heard %.1f s ago", p.PeerName, p.Address, p.Condition(), p.Heard)
	}
	slices.Sort(lines)
	return are + strings.Join(lines, "")
}
