package command

import (
	"encoding/json"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/ssyncp/ssyncp/internal/config"
)

// configure shows what is configured, or what follows from it.
func configure(inv *invocation) error {
	switch {
	case inv.argument == "show":
		return showSettings(inv)
	case inv.argument == "networks" && !inv.json:
		return networks(inv)
	}
	return fmt.Errorf("%w: config show, with --json or without, and config networks are what there is", errMisused)
}

// showSettings shows what is configured, and where it comes from.
func showSettings(inv *invocation) error {
	settings, err := config.Show(inv.flags)
	if err != nil {
		return err
	}
	if inv.json {
		return json.NewEncoder(inv.stdout).Encode(settings)
	}
	table := tabwriter.NewWriter(inv.stdout, 0, 0, 2, ' ', 0)
	for _, s := range settings {
		fmt.Fprintf(table, "%s\t= %s\t%s\n", s.Key, valueText(s.Value), strings.TrimSpace(string(s.Source)+" "+s.Origin))
	}
	return table.Flush()
}

// valueText is a value as the file has it.
func valueText(value any) string {
	switch v := value.(type) {
	case string:
		return fmt.Sprintf("%q", v)
	case []string:
		quoted := make([]string, len(v))
		for i, one := range v {
			quoted[i] = fmt.Sprintf("%q", one)
		}
		return "[" + strings.Join(quoted, ", ") + "]"
	}
	return fmt.Sprint(value)
}
