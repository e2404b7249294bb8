package director

import (
	"maps"
	"testing"
)

const someLog = `time=2026-11-25T18:42:00.000Z level=INFO msg="state changed" from=joining to="synced (alone)"
time=2026-11-25T18:42:01.000Z level=INFO msg=counters group=peering received_frames=12 proofs=1
time=2026-11-25T18:42:01.000Z level=INFO msg="state changed" from="synced (alone)" to=synced refused_for_lack_of_a_service=3
time=2026-11-25T18:42:01.000Z level=INFO msg=counters group=module state=capturing connections=7
`

func TestCountersAreReadFromTheLog(t *testing.T) {
	want := Counts{"peering.received_frames": 12, "peering.proofs": 1, "module.connections": 7}
	if got := parseCounts(someLog); !maps.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestTheLastStateCounts(t *testing.T) {
	for log, want := range map[string]string{
		"":                              "joining",
		someLog:                         "synced",
		someLog[:len(someLog)/4] + "\n": "synced (alone)",
		someLog + `msg="state changed" from=x to=degraded`:    "degraded",
		`time=x level=INFO msg="ssyncpd starts" to=something`: "joining",
	} {
		d := &Daemon{}
		d.Write([]byte(log))
		if got := d.State(); got != want {
			t.Errorf("%q, want %q, of\n%s", got, want, log)
		}
	}
}
