package command

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/pflag"

	"github.com/ssyncp/ssyncp/internal/completion"
)

// Flags that are known to some commands only.
const (
	jsonFlag     = "json"
	instanceFlag = "instance"
	classFlag    = "class"
)

// argumentWords are the arguments that can be listed, of commands that take no
// other.
var argumentWords = map[string][]string{
	"completion": completion.Shells(),
	"config":     {"show", "networks"},
	"role":       {"master", "backup", "fault", "stop"},
}

// complete prints the script of a shell.
func complete(inv *invocation) error {
	script, err := completion.Script(inv.argument, describeProgram(inv.commands, inv.flags))
	if errors.Is(err, completion.ErrShell) {
		return fmt.Errorf("%w: %w", errMisused, err)
	}
	if err != nil {
		return err
	}
	_, err = io.WriteString(inv.stdout, script)
	return err
}

// describeProgram is all that can be typed after ssyncpd.
func describeProgram(commands []command, flags *pflag.FlagSet) completion.Program {
	p := completion.Program{Name: "ssyncpd"}
	only := map[string][]string{instanceFlag: {"role"}, classFlag: withClass}
	for _, c := range commands {
		p.Commands = append(p.Commands, completion.Command{Name: c.name, Usage: c.usage, Argument: argumentOf(c)})
		if c.json {
			only[jsonFlag] = append(only[jsonFlag], c.name)
		}
	}
	flags.VisitAll(func(f *pflag.Flag) {
		_, usage := pflag.UnquoteUsage(f)
		p.Flags = append(p.Flags, completion.Flag{Name: f.Name, Usage: usage, Value: valueOf(f), Commands: only[f.Name]})
	})
	return p
}

func argumentOf(c command) completion.Value {
	words, listed := argumentWords[c.name]
	switch {
	case listed:
		return completion.Value{Kind: completion.Words, Words: words}
	case c.argument == "path":
		return completion.Value{Kind: completion.File}
	case c.argument != "":
		return completion.Value{Kind: completion.Text}
	}
	return completion.Value{}
}

// valueOf goes by what the help text shows as the value.
func valueOf(f *pflag.Flag) completion.Value {
	takes, _ := pflag.UnquoteUsage(f)
	switch {
	case f.NoOptDefVal != "":
		return completion.Value{Kind: completion.None}
	case takes == "path" || takes == "file":
		return completion.Value{Kind: completion.File}
	case takes == "interface":
		return completion.Value{Kind: completion.Interface}
	case strings.Contains(takes, "|"):
		return completion.Value{Kind: completion.Words, Words: strings.Split(takes, "|")}
	}
	return completion.Value{Kind: completion.Text}
}
