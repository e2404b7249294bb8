package verdict

import (
	"errors"
	"strings"
	"testing"
	"time"
)

const cut = 20 * time.Second

var rule = Rule{
	Grace:   200 * time.Millisecond,
	Old:     1200 * time.Millisecond,
	Streams: map[Group]int{DR: 2},
}

func stream(age time.Duration, outcome Outcome) Record {
	return Record{Group: DR, Established: cut - age, Outcome: outcome}
}

func row(t *testing.T, tally Tally, group Group) Row {
	t.Helper()
	for _, r := range tally {
		if r.Group == group {
			return r
		}
	}
	t.Fatalf("no row for %s", group)
	return Row{}
}

func TestAStreamIsJudgedByItsAgeAtTheCut(t *testing.T) {
	for _, test := range []struct {
		name             string
		age              time.Duration
		young, aged, old int
	}{
		{"established at the cut", 0, 1, 0, 0},
		{"just short of two periods", 200*time.Millisecond - 1, 1, 0, 0},
		{"exactly two periods has to survive", 200 * time.Millisecond, 0, 1, 0},
		{"in the window of the in-kernel daemon", 1200*time.Millisecond - 1, 0, 1, 0},
		{"old", 1200 * time.Millisecond, 0, 0, 1},
		{"established after the cut is not counted", -1, 0, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := row(t, rule.Count([]Record{stream(test.age, Survived)}, cut), DR)
			if r.Young.Total != test.young || r.Aged.Total != test.aged || r.Old.Total != test.old {
				t.Errorf("young %d, aged %d, old %d", r.Young.Total, r.Aged.Total, r.Old.Total)
			}
			if r.Required().Total != test.aged+test.old {
				t.Errorf("required %d", r.Required().Total)
			}
		})
	}
}

func TestEveryOutcomeButSurvivedIsALoss(t *testing.T) {
	for _, outcome := range []Outcome{Reset, Hung, Moved} {
		t.Run(string(outcome), func(t *testing.T) {
			tally := rule.Count([]Record{stream(time.Second, outcome), stream(5*time.Second, Survived)}, cut)
			losses := tally.Losses()
			if len(losses) != 1 || !strings.HasPrefix(losses[0], "DR: 1 of 2 lost") {
				t.Errorf("losses %q", losses)
			}
		})
	}
}

func TestAYoungStreamMayBeLost(t *testing.T) {
	tally := rule.Count([]Record{stream(time.Millisecond, Reset), stream(time.Second, Survived)}, cut)
	if losses := tally.Losses(); losses != nil {
		t.Errorf("losses %q", losses)
	}
}

func TestTooFewStreamsProveNothing(t *testing.T) {
	few := rule.Count([]Record{stream(time.Second, Survived), stream(-time.Second, Survived)}, cut)
	if reasons := rule.Invalid(few); len(reasons) != 1 || reasons[0] != "DR: only 1 of 2 established before the cut" {
		t.Errorf("reasons %q", reasons)
	}
	enough := rule.Count([]Record{stream(time.Second, Survived), stream(0, Reset)}, cut)
	if reasons := rule.Invalid(enough); reasons != nil {
		t.Errorf("reasons %q", reasons)
	}
}

func TestTalliesOfSeveralRunsAdd(t *testing.T) {
	one := rule.Count([]Record{stream(time.Second, Reset), {Group: DR, Idle: true, Outcome: Survived}}, cut)
	sum := Tally(nil).Plus(one).Plus(one)
	r := row(t, sum, DR)
	if r.Total() != (Count{Total: 4, Survived: 2, Reset: 2}) || r.Idle != 2 {
		t.Errorf("%+v", r)
	}
}

func TestARecordIsReadBackAsWritten(t *testing.T) {
	for _, outcome := range []Outcome{Survived, Reset, Hung, Moved} {
		written := Record{Group: Persistent, Idle: outcome == Hung, Established: 12345678901, Outcome: outcome}
		if read, err := Parse(written.String()); err != nil || read != written {
			t.Errorf("%q became %+v, %v", written, read, err)
		}
	}
}

func TestALineThatIsNoRecordIsRefused(t *testing.T) {
	for _, line := range []string{"", "DR", "DR lazy 1 reset", "DR idle one reset", "DR idle 1 vanished", "DR idle 1 reset more"} {
		if _, err := Parse(line); !errors.Is(err, ErrRecord) {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func TestTheTableShowsSurvivorsByAge(t *testing.T) {
	tally := rule.Count([]Record{
		stream(time.Millisecond, Reset),
		stream(time.Second, Survived),
		stream(5*time.Second, Survived),
		stream(6*time.Second, Hung),
	}, cut)
	var line string
	for _, l := range strings.Split(rule.Table(tally), "\n") {
		if strings.HasPrefix(l, "DR ") {
			line = strings.Join(strings.Fields(l), " ")
		}
	}
	if want := "DR 4 (0) 0/1 1/1 1/2 1 1 0"; line != want {
		t.Errorf("got %q, want %q", line, want)
	}
}

func TestTheComparisonSetsContestantsSideBySide(t *testing.T) {
	with := rule.Count([]Record{stream(time.Second, Survived), stream(0, Reset)}, cut)
	without := rule.Count([]Record{stream(time.Second, Reset)}, cut)
	text := rule.Comparison([]Column{{"with", with}, {"without", without}})
	for _, want := range []string{"200 ms and more before: DR 1/1 0/1", "less than 200 ms before: DR 0/1 -"} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
}
