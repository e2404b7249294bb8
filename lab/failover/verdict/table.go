package verdict

import (
	"fmt"
	"strings"
	"text/tabwriter"
	"time"
)

// Table shows one tally: survivors by age, and how the others ended.
func (rule Rule) Table(t Tally) string {
	return "established before the cut; survived, by age at the cut; how the others ended:\n" + align(func(line func(...string)) {
		line("", "all (idle)", "< "+short(rule.Grace), short(rule.Grace)+" - "+short(rule.Old), "> "+short(rule.Old),
			"reset", "hung", "other server")
		for _, row := range t {
			total := row.Total()
			line(string(row.Group), fmt.Sprintf("%d (%d)", total.Total, row.Idle),
				of(row.Young), of(row.Aged), of(row.Old),
				fmt.Sprint(total.Reset), fmt.Sprint(total.Hung), fmt.Sprint(total.Moved))
		}
	})
}

// Column is one contestant of a comparison.
type Column struct {
	Title string
	Tally Tally
}

// Comparison shows, side by side, how many streams survived of those that
// have to, and the same for those younger than that.
func (rule Rule) Comparison(columns []Column) string {
	return align(func(line func(...string)) {
		title := []string{"survived, of those established"}
		for _, column := range columns {
			title = append(title, column.Title)
		}
		line(title...)
		part := func(label string, count func(Row) Count) {
			for i, group := range Groups() {
				cells := []string{fmt.Sprintf("%s: %s", label, group)}
				for _, column := range columns {
					cells = append(cells, of(count(column.Tally[i])))
				}
				line(cells...)
			}
		}
		part(short(rule.Grace)+" and more before", Row.Required)
		part("less than "+short(rule.Grace)+" before", func(r Row) Count { return r.Young })
	})
}

func of(c Count) string {
	if c.Total == 0 {
		return "-"
	}
	return fmt.Sprintf("%d/%d", c.Survived, c.Total)
}

// short writes 200ms as 200 ms and 1.2s as 1.2 s.
func short(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%d ms", d.Milliseconds())
	}
	return fmt.Sprintf("%g s", d.Seconds())
}

// align lays the lines out in columns, without trailing blanks.
func align(fill func(line func(cells ...string))) string {
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 3, ' ', 0)
	fill(func(cells ...string) { fmt.Fprintln(w, strings.Join(cells, "\t")) })
	w.Flush()
	lines := strings.Split(text.String(), "\n")
	for i := range lines {
		lines[i] = strings.TrimRight(lines[i], " ")
	}
	return strings.Join(lines, "\n")
}
