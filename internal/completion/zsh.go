package completion

import (
	"fmt"
	"strings"
)

func zsh(b *strings.Builder, p Program) {
	fmt.Fprintf(b, "#compdef %s\n\n%s() {\n\tlocal state line ret=1\n\tlocal -a commands\n\tcommands=(\n", p.Name, p.function())
	for _, c := range p.Commands {
		fmt.Fprintf(b, "\t\t%s\n", quote(strings.ReplaceAll(c.Name, ":", `\:`)+":"+c.Usage))
	}
	fmt.Fprint(b, "\t)\n\t_arguments -S \\\n\t\t'(- *)--help[show help and exit]' \\\n")
	for _, f := range p.Flags {
		// Which command there is can be seen only later.
		spec := "--" + f.Name
		if f.Value.Kind != None {
			spec += "="
		}
		spec += "[" + zshText(f.Usage) + "]"
		if action := zshAction(f.Value); f.Value.Kind != None {
			spec += ":" + f.Name + ":" + action
		}
		fmt.Fprintf(b, "\t\t%s \\\n", quote(spec))
	}
	fmt.Fprint(b, "\t\t'1:command:->command' \\\n\t\t'2:argument:->argument' && ret=0\n")
	fmt.Fprint(b, "\tcase $state in\n\tcommand) _describe -t commands command commands && ret=0 ;;\n\targument)\n\t\tcase $line[1] in\n")
	for _, c := range p.Commands {
		switch c.Argument.Kind {
		case File:
			fmt.Fprintf(b, "\t\t%s) _files && ret=0 ;;\n", c.Name)
		case Interface:
			fmt.Fprintf(b, "\t\t%s) _net_interfaces && ret=0 ;;\n", c.Name)
		case Words:
			fmt.Fprintf(b, "\t\t%s) compadd -- %s && ret=0 ;;\n", c.Name, strings.Join(c.Argument.Words, " "))
		}
	}
	// Read by compinit, the file is the function's body; read by source, it has
	// to announce it.
	fmt.Fprintf(b, "\t\tesac\n\t\t;;\n\tesac\n\treturn ret\n}\n\nif [[ $funcstack[1] == %[1]s ]]; then\n\t%[1]s \"$@\"\nelse\n\tcompdef %[1]s %[2]s\nfi\n",
		p.function(), p.Name)
}

func zshAction(v Value) string {
	switch v.Kind {
	case File:
		return "_files"
	case Interface:
		return "_net_interfaces"
	case Words:
		return "(" + strings.Join(v.Words, " ") + ")"
	}
	return " "
}

// zshText is a description within a specification.
func zshText(text string) string {
	return strings.NewReplacer(`\`, `\\`, "[", `\[`, "]", `\]`, ":", `\:`).Replace(text)
}
