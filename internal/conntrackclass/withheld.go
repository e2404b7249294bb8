package conntrackclass

import "time"

const (
	// withheldFor is a little more than localHold.
	withheldFor = localHold + 500*time.Millisecond
	// withheldMax bounds how many entries are kept.
	withheldMax = 4096
)

// withheld is an entry of a connection that had had packets here just before. It
// gets one more try behind that time: the packets may go to another director since,
// where the client used its port again, and that one would not tell again for
// minutes.
type withheld struct {
	incoming
	at time.Time
}

// withhold keeps an entry for another try, if it is the first one. That a connection
// has ended elsewhere is no reason to look for a moment in which it is silent here.
func (o *Objects) withhold(in *incoming, now time.Time) {
	s := &o.sink
	switch {
	case in.again, in.entry.Ended():
	case len(s.withheld) == withheldMax:
		o.counters.Refused.Add(RefusedWithheld, 1)
	default:
		s.withheld = append(s.withheld, withheld{*in, now})
	}
}

// tryAgain puts what was withheld, and whose time has come, among what is kept
// for the next write.
func (o *Objects) tryAgain(now time.Time) {
	s := &o.sink
	for len(s.withheld) > 0 && now.Sub(s.withheld[0].at) >= withheldFor {
		w := &s.withheld[0]
		in := incoming{entry: w.entry, hash: w.hash, asOf: w.asOf, again: true}
		s.withheld = s.withheld[1:]
		o.counters.Counts.Add(Retried, 1)
		o.keep(in)
		if len(s.kept) == keptMax {
			o.write()
		}
	}
}
