package command

import (
	"testing"

	"github.com/ssyncp/ssyncp/internal/doctor"
)

func TestReportText(t *testing.T) {
	for _, tt := range []struct {
		name   string
		report doctor.Report
		want   string
	}{
		{"all is well", doctor.Report{Results: []doctor.Result{
			{Check: "kernel", Facts: []string{"Linux 6.1"}},
			{Check: "sysctl"},
			{Check: "in-kernel daemon", Findings: []doctor.Finding{{Severity: doctor.Note, What: "not known", Remedy: "be root"}}},
		}}, `ok       kernel            Linux 6.1
-        sysctl
ok       in-kernel daemon
  note: not known
      do: be root

Nothing to mend.
`},
		{"findings", doctor.Report{Failures: 1, Warnings: 2, Results: []doctor.Result{
			{Check: "links", Facts: []string{"link 1: eth1", "link 2: eth2"}, Findings: []doctor.Finding{
				{Severity: doctor.Warning, What: "slow", Remedy: "wait"}, {Severity: doctor.Failure, What: "down", Remedy: "ip link set eth1 up"},
			}},
			{Check: "MTU", Findings: []doctor.Finding{{Severity: doctor.Note, What: "n", Remedy: "r"}, {Severity: doctor.Warning, What: "small", Remedy: "more"}}},
		}}, `FAILURE  links             link 1: eth1; link 2: eth2
  warning: slow
      do: wait
  failure: down
      do: ip link set eth1 up
WARNING  MTU
  note: n
      do: r
  warning: small
      do: more

1 failure, 2 warnings.
`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(appendReport(nil, &tt.report)); got != tt.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, tt.want)
			}
		})
	}
}
