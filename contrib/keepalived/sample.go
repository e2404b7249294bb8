// Package keepalived has the sample configuration of this directory for tests,
// which run keepalived with it.
package keepalived

import (
	_ "embed"
	"fmt"
	"strings"
)

//go:embed keepalived.conf
var sample string

// Sample returns the configuration with other values of its definitions, such as
// CLIENTS for $CLIENTS. The rest is as it is in the file.
func Sample(definitions map[string]string) (string, error) {
	lines := strings.Split(sample, "\n")
	found := 0
	for i, line := range lines {
		name, _, is := strings.Cut(line, "=")
		if value, other := definitions[strings.TrimPrefix(name, "$")]; is && other && line[0] == '$' {
			lines[i] = name + "=" + value
			found++
		}
	}
	if found != len(definitions) {
		return "", fmt.Errorf("keepalived.conf has %d of the %d definitions %v", found, len(definitions), definitions)
	}
	return strings.Join(lines, "\n"), nil
}
