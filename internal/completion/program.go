package completion

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Program is a command line: flags, whose names begin with --, and a command
// with at most one argument.
type Program struct {
	Name     string
	Commands []Command
	Flags    []Flag
}

// Command is what the first word may be.
type Command struct {
	Name     string
	Usage    string
	Argument Value
}

// Flag is known everywhere, or to some commands.
type Flag struct {
	Name     string // without its dashes
	Usage    string
	Value    Value
	Commands []string // nil: all
}

// Value is what a flag or a command takes.
type Value struct {
	Kind  Kind
	Words []string // of Words
}

// Kind is a kind of values.
type Kind int

// Kinds of values.
const (
	None      Kind = iota // there is none
	Text                  // anything
	File                  // path of a file
	Interface             // network interface of this host
	Words                 // one of a few
)

// ErrShell says that there is no script for a shell.
var ErrShell = errors.New("no completions for this shell")

var shells = []struct {
	name  string
	write func(*strings.Builder, Program)
}{
	{"bash", bash},
	{"zsh", zsh},
	{"fish", fish},
}

// Shells returns those that Script knows.
func Shells() []string {
	var names []string
	for _, s := range shells {
		names = append(names, s.name)
	}
	return names
}

// Script returns what a shell has to read.
func Script(shell string, p Program) (string, error) {
	for _, s := range shells {
		if s.name == shell {
			var b strings.Builder
			s.write(&b, p)
			return b.String(), nil
		}
	}
	return "", fmt.Errorf("%w: %q; there are some for %s", ErrShell, shell, strings.Join(Shells(), ", "))
}

// function is the program's name as shells let functions have one.
func (p Program) function() string { return "_" + strings.ReplaceAll(p.Name, "-", "_") }

// flags returns the names of those that match, with their dashes.
func (p Program) flags(match func(Flag) bool) []string {
	var names []string
	for _, f := range p.Flags {
		if match(f) {
			names = append(names, "--"+f.Name)
		}
	}
	return names
}

// common are flags that all commands know, and before there is a command.
func common(f Flag) bool { return f.Commands == nil }

// knows reports whether a flag is one of a command's own.
func (c Command) knows(f Flag) bool { return slices.Contains(f.Commands, c.Name) }

// quote makes one word of a text, for any of the shells.
func quote(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
