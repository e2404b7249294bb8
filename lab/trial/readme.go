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

// A Pair is what docs/first-pair.md tells of keepalived.
type Pair struct {
	Setup    []string  // on both
	Settings []Setting // of the daemon's file, on both
	Move     []string  // on the one with the higher priority: away from it, and back
}

// errDocument says that a document is not what it was.
var errDocument = errors.New("README.md or docs/first-pair.md")

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
		return Session{}, fmt.Errorf("%w: no configuration", errDocument)
	}
	toml, after, _ := strings.Cut(rest, "```\n")
	s.OnOne = commands(before)
	s.Settings = settings(toml)
	after, _, _ = strings.Cut(after, "\n### ")
	both, one, _ := strings.Cut(after, "\nOn one of them:\n")
	s.Start, s.Look = commands(both), commands(one)
	for what, list := range map[string]int{"installs": len(s.Install), "makes a key": len(s.OnOne), "is set": len(s.Settings), "starts": len(s.Start), "is looked at": len(s.Look)} {
		if list == 0 {
			return Session{}, fmt.Errorf("%w: nothing %s", errDocument, what)
		}
	}
	return s, nil
}

// ReadPair finds what is to be done for keepalived in docs/first-pair.md, with a
// prompt that says where.
func ReadPair(document string) (Pair, error) {
	var p Pair
	text, err := section(document, "## With keepalived\n")
	if err != nil {
		return Pair{}, err
	}
	for _, command := range commands(text) {
		if both, is := strings.CutPrefix(command, "both# "); is {
			p.Setup = append(p.Setup, both)
		} else if one, is := strings.CutPrefix(command, "lb1# "); is {
			p.Move = append(p.Move, one)
		}
	}
	_, toml, _ := strings.Cut(text, "```toml\n")
	toml, _, _ = strings.Cut(toml, "```\n")
	p.Settings = settings(toml)
	if len(p.Setup) == 0 || len(p.Settings) == 0 || len(p.Move) != 2 {
		return Pair{}, fmt.Errorf("%w: of keepalived it has %+v", errDocument, p)
	}
	return p, nil
}

// settings are the lines of a configuration.
func settings(toml string) (list []Setting) {
	table := ""
	for line := range strings.Lines(toml) {
		line = strings.TrimSpace(comment.ReplaceAllString(line, ""))
		switch {
		case strings.HasPrefix(line, "["):
			table = line
		case line != "":
			list = append(list, Setting{table, line})
		}
	}
	return list
}

// Length is how many commands it takes on the two directors together. Editing a
// file is one, too.
func (s Session) Length() int {
	return 2*len(s.Install) + len(s.OnOne) + 2 + 2*len(s.Start) + len(s.Look)
}

func section(readme, heading string) (string, error) {
	_, text, ok := strings.Cut(readme, heading)
	if !ok {
		return "", fmt.Errorf("%w: no %q", errDocument, strings.TrimSpace(heading))
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
func Apply(settings []Setting, file string) (string, error) {
	for _, set := range settings {
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
			return "", fmt.Errorf("%w: the configuration file has no %s in %s", errDocument, key, set.Table)
		}
		file = strings.Join(lines, "\n")
	}
	return file, nil
}
