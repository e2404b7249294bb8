// Package trial tries ssyncp as a new user does: with its packages, on Debian,
// and by what README.md says. `make trial` runs it.
package trial

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// A Session is what README.md tells somebody who has two directors.
type Session struct {
	Install  []string  // on both
	OnOne    []string  // makes the key and copies it
	Settings []Setting // of the file, on both
	Start    []string  // on both
	Look     []string  // on one
}

// A Setting is a line of the configuration file.
type Setting struct{ Table, Line string }

// errReadme says that README.md is not what it was.
var errReadme = errors.New("README.md")

// ReadSession finds the session in README.md: the indented commands under two
// headings, before what is below those, and the first block of TOML.
func ReadSession(readme string) (Session, error) {
	var s Session
	install, err := section(readme, "## Install on a director\n")
	if err != nil {
		return Session{}, err
	}
	install, _, _ = strings.Cut(install, "\n### ")
	s.Install = commands(install)

	configure, err := section(readme, "## A first configuration\n")
	if err != nil {
		return Session{}, err
	}
	before, rest, ok := strings.Cut(configure, "```toml\n")
	if !ok {
		return Session{}, fmt.Errorf("%w: no configuration", errReadme)
	}
	toml, after, _ := strings.Cut(rest, "```\n")
	s.OnOne = commands(before)
	table := ""
	for line := range strings.Lines(toml) {
		line = strings.TrimSpace(comment.ReplaceAllString(line, ""))
		switch {
		case strings.HasPrefix(line, "["):
			table = line
		case line != "":
			s.Settings = append(s.Settings, Setting{table, line})
		}
	}
	after, _, _ = strings.Cut(after, "\n### ")
	both, one, _ := strings.Cut(after, "\nOn one of them:\n")
	s.Start, s.Look = commands(both), commands(one)
	for what, list := range map[string]int{"installs": len(s.Install), "makes a key": len(s.OnOne), "is set": len(s.Settings), "starts": len(s.Start), "is looked at": len(s.Look)} {
		if list == 0 {
			return Session{}, fmt.Errorf("%w: nothing %s", errReadme, what)
		}
	}
	return s, nil
}

// Length is how many commands it takes on the two directors together. Editing a
// file is one, too.
func (s Session) Length() int {
	return 2*len(s.Install) + len(s.OnOne) + 2 + 2*len(s.Start) + len(s.Look)
}

func section(readme, heading string) (string, error) {
	_, text, ok := strings.Cut(readme, heading)
	if !ok {
		return "", fmt.Errorf("%w: no %q", errReadme, strings.TrimSpace(heading))
	}
	text, _, _ = strings.Cut(text, "\n## ")
	return text, nil
}

var comment = regexp.MustCompile(`\s+#.*`)

// commands are indented by four.
func commands(text string) []string {
	var list []string
	for line := range strings.Lines(text) {
		if command, is := strings.CutPrefix(line, "    "); is && !strings.HasPrefix(command, " ") {
			list = append(list, strings.TrimSpace(comment.ReplaceAllString(command, "")))
		}
	}
	return list
}

// Apply sets what a configuration file has already, as somebody with an editor
// does.
func (s Session) Apply(file string) (string, error) {
	for _, set := range s.Settings {
		key, _, _ := strings.Cut(set.Line, "=")
		lines := strings.Split(file, "\n")
		table, done := "", false
		for i, line := range lines {
			if strings.HasPrefix(line, "[") {
				table = strings.TrimSpace(line)
			}
			if name, _, is := strings.Cut(line, "="); is && table == set.Table && strings.TrimSpace(name) == strings.TrimSpace(key) {
				lines[i], done = set.Line, true
			}
		}
		if !done {
			return "", fmt.Errorf("%w: the configuration file has no %s in %s", errReadme, key, set.Table)
		}
		file = strings.Join(lines, "\n")
	}
	return file, nil
}
