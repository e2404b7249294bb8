package command

import (
	"bytes"
	"fmt"
	"strings"

	"github.com/ssyncp/ssyncp/internal/doctor"
)

// verdictOf is what a reader sees first of a check.
func verdictOf(r *doctor.Result) string {
	switch s := r.Severity(); {
	case s == doctor.Failure, s == doctor.Warning:
		return strings.ToUpper(string(s))
	case s == "" && len(r.Facts) == 0:
		return "-" // it had nothing to look at
	}
	return "ok"
}

// appendReport writes a report for people: a line for each check, and under it
// what it found, with the remedy.
func appendReport(dst []byte, report *doctor.Report) []byte {
	out := bytes.NewBuffer(dst)
	for i := range report.Results {
		r := &report.Results[i]
		line := fmt.Sprintf("%-8s %-17s %s", verdictOf(r), r.Check, strings.Join(r.Facts, "; "))
		fmt.Fprintln(out, strings.TrimRight(line, " "))
		for _, f := range r.Findings {
			fmt.Fprintf(out, "  %s: %s\n      do: %s\n", f.Severity, f.What, f.Remedy)
		}
	}
	if report.Failures+report.Warnings == 0 {
		fmt.Fprint(out, "\nNothing to mend.\n")
	} else {
		fmt.Fprintf(out, "\n%s, %s.\n", plural(report.Failures, "failure"), plural(report.Warnings, "warning"))
	}
	return out.Bytes()
}
