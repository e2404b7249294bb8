// Package keepalived has the samples of this directory for tests, which run
// keepalived with them.
package keepalived

import (
	_ "embed"
	"errors"
	"fmt"
	"strings"
)

//go:embed keepalived.conf
var sample string

//go:embed keepalived.default
var environment string

// Arguments returns what keepalived is started with, beside its configuration.
func Arguments() ([]string, error) {
	for line := range strings.Lines(environment) {
		if value, is := strings.CutPrefix(strings.TrimSpace(line), "DAEMON_ARGS="); is {
			return strings.Fields(strings.Trim(value, `"`)), nil
		}
	}
	return nil, errors.New("keepalived.default has no DAEMON_ARGS")
}

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
