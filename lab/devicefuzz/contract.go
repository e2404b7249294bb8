package devicefuzz

import (
	"encoding/binary"
	"fmt"

	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// What kmod/uapi/ssyncp.h says of a record, said here once more: the fuzzer
// takes neither the module's word for it nor that of pkg/chardev, whose decoder
// may not look at what it does not need.
const (
	kindConn  = 1
	kindEvent = 2

	optSeq = 0x01
	optPE  = 0x02

	connSize  = 88
	seqSize   = 24
	peSize    = 24
	eventSize = 8

	offLen, offKind, offOptions                               = 0, 2, 3
	offFamily, offDestFamily, offProtocol, offMarks           = 4, 5, 6, 7
	offFlags, offState, offCPort, offVPort, offDPort          = 8, 12, 14, 16, 18
	offFwmark, offTimeout, offAge, offTold, offReserved       = 20, 24, 28, 32, 36
	offCAddr, offVAddr, offDAddr                              = 40, 56, 72
	offPEName, offPELen, offPEReserved, peNameMax             = 0, 16, 17, 16
	eventsKnown                                               = 0x07
	marksKnown                                                = 0x07
	familyIPv4, familyIPv6                              uint8 = 2, 10
)

// ReadRecords looks at every byte that a read returned: whole records of known
// kinds, aligned, with all padding and every reserved byte zero, and an event
// only as the first one. It returns how many are connections.
func ReadRecords(read []byte) (connections int, err error) {
	for at := 0; at < len(read); {
		rest := read[at:]
		if len(rest) < eventSize {
			return connections, fmt.Errorf("byte %d: %d bytes are no record", at, len(rest))
		}
		size := int(binary.NativeEndian.Uint16(rest[offLen:]))
		if size < eventSize || size%chardev.Align != 0 || size > len(rest) {
			return connections, fmt.Errorf("byte %d: length %d, of %d bytes", at, size, len(rest))
		}
		record := rest[:size]
		switch {
		case record[offKind] == kindEvent && at == 0:
			err = checkEvent(record)
		case record[offKind] == kindConn:
			connections++
			err = checkConn(record)
		default:
			err = fmt.Errorf("kind %d", record[offKind])
		}
		if err != nil {
			return connections, fmt.Errorf("record at byte %d: %w\n%x", at, err, record)
		}
		at += size
	}
	return connections, nil
}

func checkEvent(record []byte) error {
	events := binary.NativeEndian.Uint32(record[4:])
	if len(record) != eventSize || record[offOptions] != 0 || events == 0 || events&^eventsKnown != 0 {
		return fmt.Errorf("event of length %d, options %#x, events %#x", len(record), record[offOptions], events)
	}
	return nil
}

func checkConn(record []byte) error {
	if len(record) < connSize {
		return fmt.Errorf("a connection of %d bytes", len(record))
	}
	options := record[offOptions]
	flags := ipvs.Flags(binary.NativeEndian.Uint32(record[offFlags:]))
	switch {
	case options&^(optSeq|optPE) != 0:
		return fmt.Errorf("options %#x", options)
	case record[offMarks]&^marksKnown != 0:
		return fmt.Errorf("marks %#x", record[offMarks])
	case flags&ipvs.FlagHashed != 0:
		return fmt.Errorf("flags %v", flags)
	case options&optSeq != 0 && flags&ipvs.FlagSeqMask == 0:
		return fmt.Errorf("sequence numbers, but flags %v", flags)
	case binary.NativeEndian.Uint16(record[offState:]) > 15:
		return fmt.Errorf("state %d", binary.NativeEndian.Uint16(record[offState:]))
	case !zero(record[offReserved:offCAddr]):
		return fmt.Errorf("reserved: %x", record[offReserved:offCAddr])
	}
	for _, address := range []struct{ family, at int }{
		{offFamily, offCAddr}, {offFamily, offVAddr}, {offDestFamily, offDAddr},
	} {
		field := record[address.at : address.at+16]
		switch record[address.family] {
		case familyIPv4:
			if !zero(field[4:]) {
				return fmt.Errorf("behind an IPv4 address: %x", field[4:])
			}
		case familyIPv6:
		default:
			return fmt.Errorf("family %d", record[address.family])
		}
	}
	rest := record[connSize:]
	if options&optSeq != 0 {
		if len(rest) < seqSize {
			return fmt.Errorf("no room for sequence numbers: %d bytes", len(rest))
		}
		rest = rest[seqSize:]
	}
	if options&optPE != 0 {
		if len(rest) < peSize {
			return fmt.Errorf("no room for a persistence engine: %d bytes", len(rest))
		}
		used := peSize + int(rest[offPELen])
		if used == peSize || align(used) != len(rest) {
			return fmt.Errorf("persistence engine with %d bytes of data, in %d bytes", used-peSize, len(rest))
		}
		if !nameOK(rest) || !zero(rest[offPEReserved:peSize]) || !zero(rest[used:]) {
			return fmt.Errorf("persistence engine: a byte that is not zero: %x", rest)
		}
		rest = nil
	}
	if len(rest) != 0 {
		return fmt.Errorf("%d bytes behind the options", len(rest))
	}
	return nil
}

// nameOK reports whether an option of a persistence engine has a name, and zeros
// to the end of its field.
func nameOK(pe []byte) bool {
	name := 0
	for name < peNameMax && pe[name] != 0 {
		name++
	}
	return name > 0 && name < peNameMax && zero(pe[name:peNameMax])
}

// Framing says what a write of a batch takes: the records before the first one
// that breaks the framing.
func Framing(batch []byte) (taken [][]byte) {
	for len(batch) > 0 {
		size := frame(batch)
		if size == 0 {
			return taken
		}
		taken = append(taken, batch[:size])
		batch = batch[size:]
	}
	return taken
}

// frame returns the length of the first record, 0 where it is broken.
func frame(p []byte) int {
	if len(p) < connSize || p[offKind] != kindConn || p[offOptions]&^(optSeq|optPE) != 0 {
		return 0
	}
	size := int(binary.NativeEndian.Uint16(p))
	want := connSize
	if p[offOptions]&optSeq != 0 {
		want += seqSize
	}
	if p[offOptions]&optPE != 0 {
		if size < want+peSize || len(p) < want+peSize {
			return 0
		}
		pe := p[want:]
		used := peSize + int(pe[offPELen])
		want += align(used)
		if size < want || len(p) < want || used == peSize || !nameOK(pe) ||
			!zero(pe[offPEReserved:peSize]) || !zero(pe[used:align(used)]) {
			return 0
		}
	}
	if size != want || len(p) < want || !zero(p[offReserved:offCAddr]) {
		return 0
	}
	if p[offFamily] == familyIPv4 && (!zero(p[offCAddr+4:offCAddr+16]) || !zero(p[offVAddr+4:offVAddr+16])) {
		return 0
	}
	if p[offDestFamily] == familyIPv4 && !zero(p[offDAddr+4:offDAddr+16]) {
		return 0
	}
	return size
}

// mustRefuse says whether a well-formed record may not be applied whatever this
// director knows, and why then.
func mustRefuse(record []byte) (chardev.Reason, bool) {
	flags := ipvs.Flags(binary.NativeEndian.Uint32(record[offFlags:]))
	state := int(binary.NativeEndian.Uint16(record[offState:]))
	template := flags&ipvs.FlagTemplate != 0
	protocol := ipvs.Protocol(record[offProtocol])
	noClientPort := binary.NativeEndian.Uint16(record[offCPort:]) == 0
	for _, family := range []uint8{record[offFamily], record[offDestFamily]} {
		if family != familyIPv4 && family != familyIPv6 {
			return chardev.RefusedFamily, true
		}
	}
	states, known := map[ipvs.Protocol]int{
		ipvs.TCP: 11, ipvs.UDP: 1, ipvs.SCTP: 14, 50: 1, 51: 1, // ESP and AH
	}[protocol]
	switch {
	case !known && !(template && protocol == ipvs.IP):
		return chardev.RefusedProtocol, true
	case template && state > 1 || !template && state >= states:
		return chardev.RefusedState, true
	case flags&ipvs.FlagOnePacket != 0, flags.Method() > ipvs.Bypass, record[offOptions]&optPE != 0 && !template:
		return chardev.RefusedFlags, true
	}
	if flags&ipvs.FlagNoCPort != 0 {
		if template || !noClientPort || protocol != ipvs.TCP || ipvs.State(state) != ipvs.TCPListen ||
			flags.Method() != ipvs.Masquerade {
			return chardev.RefusedFlags, true
		}
	} else if template != noClientPort {
		return chardev.RefusedFlags, true
	}
	return 0, false
}

func zero(p []byte) bool {
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}

func align(n int) int { return (n + chardev.Align - 1) &^ (chardev.Align - 1) }
