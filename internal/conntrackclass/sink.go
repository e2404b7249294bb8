package conntrackclass

import (
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/ctnetlink"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/ctentry"
)

const (
	// localHold is how long an entry that had packets here is nobody else's.
	localHold = 3 * time.Second
	// progressSlack is what two messages may differ in the time that they take: a
	// state that is further on may be older by so much, and is news. It is more than
	// what a walk says is older than it is.
	progressSlack = time.Second
	// keptMax is how many entries of peers are kept back at most.
	keptMax = 1024
)

// sink collects what peers advertise, and hands it to the kernel.
type sink struct {
	decoder  ctentry.Decoder
	entry    conntrack.Entry
	kept     []incoming
	index    map[uint64]int32 // of kept, by the hash of the key
	withheld []withheld       // in the order of their time
	request  []byte
	err      error // of the kernel
}

// incoming is what a peer said of a connection.
type incoming struct {
	entry conntrack.Entry
	hash  uint64
	asOf  time.Time // when its owner saw a packet
	again bool      // it was withheld before
	late  bool      // it is news if it is of a state that is further on
	step  step

	looked, found bool // whether there is one here, and it is known
	here          conntrack.Entry
	left          time.Duration // of that
	labeled       bool          // there is room for labels in that
}

// step is what is to be done next.
type step int

const (
	create step = iota
	look        // what there is
	update
	replace // by another connection of the same tuple
	remove
	retry // without what this kernel may not have
	done
)

func newSink() sink { return sink{index: make(map[uint64]int32)} }

// Apply is cluster.Objects'.
func (o *Objects) Apply(blocks block.Blocks, held time.Duration) error {
	s := &o.sink
	if err := s.decoder.Reset(blocks); err != nil {
		o.counters.Refused.Add(refused(err), 1)
		return err
	}
	s.decoder.HeldAtLeast(held)
	now := time.Now()
	for s.decoder.Next(&s.entry) {
		o.keep(incoming{entry: s.entry, hash: o.copies.hash(&s.entry), asOf: now.Add(-s.entry.Age)})
		if len(s.kept) == keptMax {
			o.write()
		}
	}
	o.counters.Counts.Add(Decoded, s.decoder.Count())
	if r := s.decoder.Refusals(); r.Total() > 0 {
		o.counters.Refused.Add(RefusedUnknownField, r.UnknownField)
		o.counters.Refused.Add(RefusedDuplicateField, r.DuplicateField)
		o.counters.Refused.Add(RefusedField, r.Field)
		o.counters.Refused.Add(RefusedProtocol, r.Protocol)
	}
	return nil
}

// keep keeps an entry until the next write: of each connection the freshest
// one.
func (o *Objects) keep(in incoming) {
	s := &o.sink
	if i, ok := s.index[in.hash]; ok {
		o.counters.Counts.Add(Stale, 1) // one of the two
		if in.supersedes(&s.kept[i]) {
			s.kept[i] = in
		}
		return
	}
	s.index[in.hash] = int32(len(s.kept))
	s.kept = append(s.kept, in)
}

// supersedes reports whether it is news behind what was heard before.
func (in *incoming) supersedes(before *incoming) bool {
	if in.asOf.After(before.asOf) {
		return true
	}
	if before.asOf.Sub(in.asOf) > progressSlack || before.entry.Ended() || !in.ahead(&before.entry) {
		return false
	}
	in.asOf = before.asOf // at least
	return true
}

// ahead reports whether it is of the same connection as e, and of a state that is
// further on.
func (in *incoming) ahead(e *conntrack.Entry) bool {
	return !in.entry.Ended() && in.entry.Reply == e.Reply &&
		conntrack.Progress(in.entry.Protocol, in.entry.State) > conntrack.Progress(e.Protocol, e.State)
}

// Flush is cluster.Objects'.
func (o *Objects) Flush() error {
	o.tryAgain(time.Now())
	o.write()
	err := o.sink.err
	o.sink.err = nil
	return err
}

// write hands over what was kept back.
func (o *Objects) write() {
	s := &o.sink
	if len(s.kept) == 0 {
		return
	}
	now := time.Now()
	for i := range s.kept {
		o.begin(&s.kept[i], now)
	}
	// A new connection is one request, all others are three: what there is is
	// looked at, and judged.
	o.run(create, now)
	o.run(look, now)
	for i := range s.kept {
		if in := &s.kept[i]; in.step == look {
			o.judge(in, now)
		}
	}
	o.run(remove, now)
	o.run(replace, now)
	o.run(create, now)
	for i := range s.kept {
		if in := &s.kept[i]; in.step == retry {
			in.step = create
		}
	}
	o.run(create, now)
	o.run(update, now)
	s.kept = s.kept[:0]
	clear(s.index)
}

// begin judges by what is known without the kernel.
func (o *Objects) begin(in *incoming, now time.Time) {
	in.entry.Age = now.Sub(in.asOf)
	c, known := o.copies.all[in.hash]
	late := c.asOf - o.copies.milliseconds(in.asOf)
	in.late = known && late >= 0
	switch {
	case in.late && (late > progressSlack.Milliseconds() || conntrack.States(in.entry.Protocol) == nil || in.entry.Ended()):
		o.pass(in, Stale)
	case !in.entry.Ended() && in.entry.Timeout-in.entry.Age < time.Second:
		o.pass(in, Expired)
	case known || in.entry.Ended():
		in.step = look
	}
}

// pass leaves an entry alone that is no news here.
func (o *Objects) pass(in *incoming, why Count) {
	in.step = done
	o.counters.Counts.Add(why, 1)
}

func (o *Objects) refuse(in *incoming, why Refusal) {
	in.step = done
	o.counters.Refused.Add(why, 1)
}

// judge decides what becomes of an entry that is here.
func (o *Objects) judge(in *incoming, now time.Time) {
	in.looked = true
	if in.late && !(in.found && in.ahead(&in.here)) {
		o.pass(in, Stale)
		return
	}
	if !in.found {
		if in.step = create; in.entry.Ended() {
			in.step = done
			delete(o.copies.all, in.hash)
		}
		return
	}
	c, isCopy := o.copies.all[in.hash]
	if in.late {
		in.entry.Age = now.Sub(o.copies.time(c.asOf)) // at most
	}
	if !isCopy || !c.untouched(in.left, o.copies.milliseconds(now)) {
		o.timeouts.put(&in.here, in.left)
		age := in.here.Age
		limit := age - time.Second // which is rounded
		if in.ahead(&in.here) {
			// Whoever had the packet before the last one knows more.
			limit = age + progressSlack
		}
		switch {
		case age < localHold:
			o.pass(in, Local)
			o.withhold(in, now)
			return
		case in.entry.Age >= limit:
			o.pass(in, Stale)
			return
		}
	}
	switch {
	case in.entry.Ended():
		in.step = remove
	case in.here.Reply != in.entry.Reply:
		in.step = replace
	default:
		in.step = update
	}
}

// run does one step for all that are at it.
func (o *Objects) run(s step, now time.Time) {
	kept := o.sink.kept
	for start := 0; start < len(kept) && o.sink.err == nil; {
		o.sink.request = o.sink.request[:0]
		at, asked := start, 0
		for ; at < len(kept) && asked < ctnetlink.BatchMax; at++ {
			if in := &kept[at]; in.step == s {
				o.sink.request = in.append(o.sink.request, uint32(at))
				asked++
			}
		}
		batch := kept[start:at]
		if asked > 0 {
			o.sink.err = o.ask(o.sink.request, func(m *ctnetlink.Message) { o.answered(s, m) })
		}
		if s != look && o.sink.err == nil {
			for i := range batch {
				if batch[i].step == s {
					o.succeeded(&batch[i], now)
				}
			}
		}
		start = at
	}
}

// append appends what the step asks for.
func (in *incoming) append(p []byte, request uint32) []byte {
	e := in.entry
	left := e.Timeout - e.Age
	e.Status = e.Status&(conntrack.SeenReply|conntrack.Assured|conntrack.SourceNAT|conntrack.DestNAT) | conntrack.Confirmed
	if e.Protocol == conntrack.TCP {
		// Windows are known to the kernel only that saw the packets.
		for i := range e.TCP.Flags {
			e.TCP.Flags[i] |= conntrack.TCPBeLiberal
		}
	}
	switch in.step {
	case create:
		return ctnetlink.AppendCreate(p, request, &e, left)
	case update:
		e.Status |= in.here.Status // the kernel takes none of them back
		if !in.labeled {
			e.Labels = [16]byte{} // it would refuse them, having done the rest
		}
		return ctnetlink.AppendUpdate(p, request, &e, left)
	case replace:
		p = ctnetlink.AppendDelete(p, request, &e)
		return ctnetlink.AppendCreate(p, request, &e, left)
	case remove:
		return ctnetlink.AppendDelete(p, request, &e)
	}
	return ctnetlink.AppendGet(p, request, &e)
}

// answered takes an answer to the request of a step.
func (o *Objects) answered(s step, m *ctnetlink.Message) {
	if int(m.Request) >= len(o.sink.kept) {
		return
	}
	in := &o.sink.kept[m.Request]
	switch {
	case m.Kind == ctnetlink.Changed && s == look:
		in.found, in.here, in.left, in.labeled = true, m.Entry, m.TimeLeft, m.HasLabels
	case m.Kind != ctnetlink.Failed || m.Errno == 0:
	case s == look: // it is not there
	case s == create && m.Errno == unix.EEXIST && !in.looked:
		// Here is one that no peer told of, or another with this reply.
		in.step = look
	case (s == remove || s == replace) && m.Errno == unix.ENOENT:
		// It was faster; there is an answer for the new one, if it failed.
	case (s == create || s == replace) && m.Errno != unix.EEXIST && (in.entry.Helper != "" || in.entry.Labels != [16]byte{}):
		in.entry.Helper, in.entry.Labels = "", [16]byte{}
		in.step = retry
		o.counters.Troubles.Add(WithoutExtra, 1)
	default:
		o.refuse(in, refusedByKernel(m.Errno))
	}
}

func (o *Objects) succeeded(in *incoming, now time.Time) {
	switch in.step {
	case remove:
		o.counters.Counts.Add(Ended, 1)
		delete(o.copies.all, in.hash)
		in.step = done
		return
	case update:
		o.counters.Counts.Add(Updated, 1)
	default:
		o.counters.Counts.Add(Created, 1)
	}
	if !o.copies.put(in.hash, &in.entry, now) {
		o.counters.Troubles.Add(CopiesFull, 1)
	}
	in.step = done
}
