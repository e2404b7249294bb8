package config

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Problem is one thing that is wrong, and what to do about it.
type Problem struct {
	Key    string // as the file names it
	Value  any    // what stands there; nil where nothing does
	Origin string // the file, variable or flag it came from
	Text   string
}

func (p Problem) Error() string {
	switch {
	case p.Key == "":
		return fmt.Sprintf("%s: %s", p.Origin, p.Text)
	case p.Value == nil:
		return fmt.Sprintf("%s: %s: %s", p.Origin, p.Key, p.Text)
	}
	value := fmt.Sprint(p.Value)
	if s, ok := p.Value.(string); ok {
		value = fmt.Sprintf("%q", s)
	}
	return fmt.Sprintf("%s: %s = %s: %s", p.Origin, p.Key, value, p.Text)
}

// Error is everything that is wrong with a configuration.
type Error struct {
	Problems []Problem
}

func (e *Error) Error() string {
	lines := make([]string, len(e.Problems))
	for i, p := range e.Problems {
		lines[i] = p.Error()
	}
	return strings.Join(lines, "\n")
}

// problems collects while values are judged.
type problems struct {
	now     time.Time
	origins origins
	list    []Problem
	hidden  []string // key prefixes under a value that is not a table
}

func (p *problems) add(key string, value any, format string, args ...any) {
	if slices.ContainsFunc(p.hidden, func(prefix string) bool { return strings.HasPrefix(key, prefix) }) {
		return
	}
	p.list = append(p.list, Problem{
		Key:    key,
		Value:  value,
		Origin: p.origins.of(key),
		Text:   fmt.Sprintf(format, args...),
	})
}
