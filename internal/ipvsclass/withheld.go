package ipvsclass

import (
	"time"

	"github.com/ssyncp/ssyncp/pkg/chardev"
)

const (
	// withheldFor is a little more than the module's local_hold_ms.
	withheldFor = 3500 * time.Millisecond
	// withheldOlder is what messages may differ in the time that they take: only
	// what is fresher by that much is to beat what this director saw itself, unless
	// that has closed: the module makes up for it there.
	withheldOlder = 500 * time.Millisecond
	// withheldMax bounds what is kept, in bytes: 12,000 connections.
	withheldMax = 1 << 20
)

// withheld keeps what the module refused because the connection had had packets
// here just before (local_hold), for one more try behind that time. It may be the
// truth: the packets go to another director since, and the client used its port
// again there. The owner would not tell again for minutes, and the connection would
// be lost with it.
type withheld struct {
	portions []portion // in the order of their time
	size     int
}

// portion is what one write left.
type portion struct {
	records []byte
	at      time.Time
}

// keep takes from the records of one write those that were refused so. It returns
// for how many there was no room.
func (w *withheld) keep(records []byte, refused []chardev.Refusal, now time.Time) (lost int) {
	p := portion{at: now}
	index := uint32(0)
	for _, r := range refused { // in the order of the records
		for ; index < r.Index; index++ {
			records = records[chardev.RecordSize(records):]
		}
		if r.Reason != chardev.RefusedLocalHold {
			continue
		}
		record := records[:chardev.RecordSize(records)]
		if w.size+len(p.records)+len(record) > withheldMax {
			lost++
			continue
		}
		p.records = append(p.records, record...)
	}
	if len(p.records) > 0 {
		w.portions = append(w.portions, p)
		w.size += len(p.records)
	}
	return lost
}

// due returns records whose time has come, as old as they are by now, or none.
func (w *withheld) due(now time.Time) []byte {
	if len(w.portions) == 0 || now.Before(w.portions[0].at.Add(withheldFor)) {
		return nil
	}
	p := w.portions[0]
	w.portions[0] = portion{}
	w.portions = w.portions[1:]
	w.size -= len(p.records)
	chardev.AddAge(p.records, now.Sub(p.at)+withheldOlder)
	return p.records
}
