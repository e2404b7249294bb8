package verdict

import (
	"fmt"
	"time"
)

// Count is how many streams there were, and what became of them.
type Count struct {
	Total    int
	Survived int
	Reset    int
	Hung     int
	Moved    int
}

func (c *Count) note(outcome Outcome) {
	c.Total++
	switch outcome {
	case Survived:
		c.Survived++
	case Reset:
		c.Reset++
	case Hung:
		c.Hung++
	case Moved:
		c.Moved++
	}
}

// Plus returns the sum of both.
func (c Count) Plus(d Count) Count {
	return Count{
		Total:    c.Total + d.Total,
		Survived: c.Survived + d.Survived,
		Reset:    c.Reset + d.Reset,
		Hung:     c.Hung + d.Hung,
		Moved:    c.Moved + d.Moved,
	}
}

// Lost is how many did not survive.
func (c Count) Lost() int { return c.Total - c.Survived }

// Row is one group by the age of its streams at the cut.
type Row struct {
	Group Group
	Young Count // younger than Rule.Grace: may be lost
	Aged  Count // from Rule.Grace up to Rule.Old
	Old   Count // Rule.Old and older
	Idle  int   // of all of them, how many were idle
}

// Total counts the streams of all ages that were established before the cut.
func (r Row) Total() Count { return r.Young.Plus(r.Aged).Plus(r.Old) }

// Required counts the streams that have to survive.
func (r Row) Required() Count { return r.Aged.Plus(r.Old) }

// Tally is one row a group, in the order of Groups.
type Tally []Row

// Rule is what a failover is measured against.
type Rule struct {
	Grace   time.Duration // streams at least this old have to survive
	Old     time.Duration // only splits the table
	Streams map[Group]int // how many have to be established before the cut
}

// Count sorts the streams established before the cut by group and age. A
// stream established later never belonged to the director that died.
func (rule Rule) Count(records []Record, cut time.Duration) Tally {
	tally := make(Tally, 0, len(Groups()))
	for _, group := range Groups() {
		row := Row{Group: group}
		for _, r := range records {
			if r.Group != group || r.Established > cut {
				continue
			}
			switch age := cut - r.Established; {
			case age < rule.Grace:
				row.Young.note(r.Outcome)
			case age < rule.Old:
				row.Aged.note(r.Outcome)
			default:
				row.Old.note(r.Outcome)
			}
			if r.Idle {
				row.Idle++
			}
		}
		tally = append(tally, row)
	}
	return tally
}

// Plus adds two tallies, row by row; t may be nil.
func (t Tally) Plus(u Tally) Tally {
	if t == nil {
		return u
	}
	sum := make(Tally, len(t))
	for i := range t {
		sum[i] = Row{
			Group: t[i].Group,
			Young: t[i].Young.Plus(u[i].Young),
			Aged:  t[i].Aged.Plus(u[i].Aged),
			Old:   t[i].Old.Plus(u[i].Old),
			Idle:  t[i].Idle + u[i].Idle,
		}
	}
	return sum
}

// Invalid says why the run proves nothing, whatever survived: too few streams.
func (rule Rule) Invalid(t Tally) []string {
	var reasons []string
	for _, row := range t {
		if got, want := row.Total().Total, rule.Streams[row.Group]; got < want {
			reasons = append(reasons, fmt.Sprintf("%s: only %d of %d established before the cut", row.Group, got, want))
		}
	}
	return reasons
}

// Losses names every group that lost streams that have to survive.
func (t Tally) Losses() []string {
	var losses []string
	for _, row := range t {
		if required := row.Required(); required.Lost() > 0 {
			losses = append(losses, fmt.Sprintf("%s: %d of %d lost (%d reset, %d hung, %d moved)", row.Group,
				required.Lost(), required.Total, required.Reset, required.Hung, required.Moved))
		}
	}
	return losses
}
