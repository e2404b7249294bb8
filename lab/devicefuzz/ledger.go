package devicefuzz

import (
	"encoding/binary"
	"fmt"
	"slices"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// A ledger is the only one that writes to its place, where no packets pass: so
// it can tell what each write did.
type ledger struct {
	*worker
	place  int
	device int // an injector
}

func newLedger(w *worker, place int) (*ledger, error) {
	fd, err := w.run.open(place)
	if err != nil {
		return nil, err
	}
	if errno := attachAs(fd, modeInject); errno != 0 {
		return nil, fmt.Errorf("devicefuzz: attach: %w", errno)
	}
	return &ledger{worker: w, place: place, device: fd}, nil
}

func attachAs(fd int, mode uint32) unix.Errno {
	request := make([]byte, 32)
	binary.NativeEndian.PutUint32(request, chardev.ABIVersion)
	binary.NativeEndian.PutUint32(request[4:], mode)
	return ioctlOn(fd, iocAttach, request)
}

// entry makes one write and compares the table and the counters of before with
// those of after.
func (l *ledger) entry() error {
	before, _, err := l.table()
	if err != nil {
		return err
	}
	counted, err := l.counted()
	if err != nil {
		return err
	}
	batch := l.batch(24)
	taken := Framing(batch)
	n, errno := writeAt(l.device, uintptr(unsafe.Pointer(&batch[0])), len(batch))
	l.tally("write, audited", errno)
	size := 0
	for _, r := range taken {
		size += len(r)
	}
	if errno == 0 && n != size || errno != 0 && (errno != unix.EINVAL || size != 0) {
		l.run.find("audit: took %d (%v), the framing says %d\n%x", n, errno, size, batch)
		return nil
	}
	refused, err := l.refused(len(taken))
	if err != nil {
		return err
	}
	countedAfter, err := l.counted()
	if err != nil {
		return err
	}
	after, raw, err := l.table()
	if err != nil {
		return err
	}
	l.balance(counted, countedAfter, taken, refused)
	for i, record := range taken {
		l.audit(i, taken, refused, before, after)
		if reason, must := mustRefuse(record); must {
			if got, is := refused[i]; !is || got != reason {
				l.run.find("audit: record %d: refused %v (%v), must be for %v\n%x", i, is, got, reason, record)
			}
		}
	}
	l.amount["records audited"] += len(taken)
	l.remember(raw)
	return nil
}

// table is every connection of the place, by what IPVS tells them apart by, and
// as the records that they came in.
func (l *ledger) table() (map[ipvs.Key][]ipvs.Conn, []byte, error) {
	fd, err := l.run.open(l.place)
	if err != nil {
		return nil, nil, err
	}
	defer unix.Close(fd)
	if errno := attachAs(fd, modeSnapshot); errno != 0 {
		return nil, nil, fmt.Errorf("devicefuzz: attach for a snapshot: %w", errno)
	}
	var all []byte
	buffer := make([]byte, 64<<10)
	for {
		n, err := unix.Read(fd, buffer)
		if err != nil {
			return nil, nil, fmt.Errorf("devicefuzz: snapshot: %w", err)
		}
		if n == 0 {
			break
		}
		if _, err := ReadRecords(buffer[:n]); err != nil {
			l.run.find("snapshot: %v", err)
		}
		all = append(all, buffer[:n]...)
	}
	found := make(map[ipvs.Key][]ipvs.Conn)
	for _, c := range decode(all) {
		found[c.Key()] = append(found[c.Key()], c)
	}
	return found, all, nil
}

func decode(records []byte) (found []ipvs.Conn) {
	batch := chardev.NewBatch(len(records))
	batch.Load(records)
	var c ipvs.Conn
	for batch.Next(&c) {
		found = append(found, c.Clone())
	}
	return found
}

func (l *ledger) counted() ([]uint64, error) {
	raw := make([]byte, statsSize)
	binary.NativeEndian.PutUint32(raw, uint32(statsSize))
	if errno := ioctlOn(l.device, iocStats, raw); errno != 0 {
		return nil, fmt.Errorf("devicefuzz: stats: %w", errno)
	}
	l.counters(l.place, raw[statsHead:])
	counted := make([]uint64, chardev.Counters)
	for i := range counted {
		counted[i] = binary.NativeEndian.Uint64(raw[statsHead+8*i:])
	}
	if has, bound := int(binary.NativeEndian.Uint32(raw[offStatsConns:])), l.run.Places[l.place].MaxConns; bound != 0 && has > bound {
		l.run.find("audit: %d connections, want at most %d", has, bound)
	}
	return counted, nil
}

func (l *ledger) refused(records int) (map[int]chardev.Reason, error) {
	list := make([]byte, (records+1)*refusalSize)
	request := make([]byte, 16)
	binary.NativeEndian.PutUint64(request, uint64(uintptr(unsafe.Pointer(&list[0]))))
	binary.NativeEndian.PutUint32(request[8:], uint32(records+1))
	if errno := ioctlOn(l.device, iocRefusals, request); errno != 0 {
		return nil, fmt.Errorf("devicefuzz: refusals: %w", errno)
	}
	n := int(binary.NativeEndian.Uint32(request[8:]))
	if n > records {
		l.run.find("audit: %d of %d records refused", n, records)
		n = records
	}
	if err := checkRefusals(list[:n*refusalSize], records); err != nil {
		l.run.find("audit: %v", err)
	}
	refused := make(map[int]chardev.Reason)
	for i := range n {
		refused[int(binary.NativeEndian.Uint32(list[i*refusalSize:]))] = chardev.Reason(binary.NativeEndian.Uint32(list[i*refusalSize+4:]))
	}
	return refused, nil
}

// balance: each record was created, updated or refused, and counted as that.
func (l *ledger) balance(before, after []uint64, taken [][]byte, refused map[int]chardev.Reason) {
	grown := func(c chardev.Counter) uint64 { return after[c] - before[c] }
	byReason := make(map[chardev.Reason]uint64)
	for _, reason := range refused {
		byReason[reason]++
	}
	for reason := range chardev.Reasons {
		if got := grown(chardev.CounterRefused + chardev.Counter(reason)); got != byReason[reason] {
			l.run.find("audit: refused %d for %v, counted %d", byReason[reason], reason, got)
		}
	}
	applied := uint64(len(taken) - len(refused))
	if got := grown(chardev.CounterCreated) + grown(chardev.CounterUpdated); got != applied {
		l.run.find("audit: %d applied, counted %d", applied, got)
	}
}

// longEnough is what a connection must have left to be there when we look.
const longEnough = 30 * time.Second

// audit: of a refused record nothing is applied, and what was not refused is
// there.
func (l *ledger) audit(i int, taken [][]byte, refused map[int]chardev.Reason, before, after map[ipvs.Key][]ipvs.Conn) {
	list := decode(taken[i])
	if len(list) != 1 {
		if _, is := refused[i]; !is {
			l.run.find("audit: record %d was applied and cannot be read\n%x", i, taken[i])
		}
		return
	}
	c := list[0]
	for j := range taken {
		if _, is := refused[j]; j == i || is {
			continue
		}
		for _, other := range decode(taken[j]) {
			if sameFlow(&c, &other) {
				return // what became of c nobody can tell
			}
		}
	}
	was, is := before[c.Key()], after[c.Key()]
	reason, wasRefused := refused[i]
	if wasRefused {
		if len(was) == 0 && len(is) != 0 {
			l.run.find("audit: record %d was refused for %v, and is there: %v\n%x", i, reason, &is[0], taken[i])
		}
		for _, now := range is {
			if !slices.ContainsFunc(was, func(old ipvs.Conn) bool { return sameConn(&old, &now) }) {
				l.run.find("audit: record %d was refused for %v, and changed %v to %v\n%x", i, reason, was, &now, taken[i])
			}
		}
		return
	}
	if c.Remaining() < longEnough {
		return
	}
	if !slices.ContainsFunc(is, func(now ipvs.Conn) bool { return now.State == c.State && now.Dest == c.Dest }) {
		l.run.find("audit: record %d was applied, want %v, have %v, had %v\n%x", i, &c, is, was, taken[i])
	}
}

// sameFlow: one of them may be found by what the other one says.
func sameFlow(a, b *ipvs.Conn) bool {
	return a.Protocol == b.Protocol && a.Client.Addr() == b.Client.Addr() && a.Virtual.Addr() == b.Virtual.Addr()
}

func sameConn(a, b *ipvs.Conn) bool {
	return a.State == b.State && a.Dest == b.Dest && a.Flags == b.Flags && a.Timeout == b.Timeout &&
		a.In == b.In && a.Out == b.Out && a.Fwmark == b.Fwmark
}
