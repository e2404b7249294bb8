package completion

import (
	"fmt"
	"strings"
)

const bashHead = `# bash completion for %[1]s                                -*- shell-script -*-

%[2]s() {
	local current=${COMP_WORDS[COMP_CWORD]} flag= command= argument= word i
	COMPREPLY=()
	# What was typed before. bash makes three words of --flag=value.
	for ((i = 1; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		=) ;;
		%[3]s) flag= ;;
		--*) flag=$word ;;
		*)
			if [[ $flag ]]; then
				flag=
			elif [[ ! $command ]]; then
				command=$word
			else
				argument=$word
			fi
			;;
		esac
	done
	[[ $current != = ]] || current=
`

const bashTail = `}

complete -F %[2]s %[1]s
`

func bash(b *strings.Builder, p Program) {
	without := append(p.flags(func(f Flag) bool { return f.Value.Kind == None }), "--help")
	fmt.Fprintf(b, bashHead, p.Name, p.function(), strings.Join(without, "|"))

	fmt.Fprint(b, "\tcase $flag in\n\t'') ;;\n")
	for _, f := range p.Flags {
		if reply := bashReply(f.Value); reply != "" && f.Value.Kind != None {
			fmt.Fprintf(b, "\t--%s)\n\t\t%s\n\t\treturn\n\t\t;;\n", f.Name, reply)
		}
	}
	fmt.Fprint(b, "\t*) return ;;\n\tesac\n")

	fmt.Fprintf(b, "\tif [[ $current == -* ]]; then\n\t\tlocal flags=%s\n\t\tcase $command in\n",
		quote(strings.Join(append(p.flags(common), "--help"), " ")))
	for _, c := range p.Commands {
		if own := p.flags(c.knows); own != nil {
			fmt.Fprintf(b, "\t\t%s) flags+=%s ;;\n", c.Name, quote(" "+strings.Join(own, " ")))
		}
	}
	fmt.Fprint(b, "\t\tesac\n\t\tCOMPREPLY=($(compgen -W \"$flags\" -- \"$current\"))\n\t\treturn\n\tfi\n")

	var names []string
	for _, c := range p.Commands {
		names = append(names, c.Name)
	}
	fmt.Fprintf(b, "\tcase $argument,$command in\n\t,) COMPREPLY=($(compgen -W %s -- \"$current\")) ;;\n", quote(strings.Join(names, " ")))
	for _, c := range p.Commands {
		if reply := bashReply(c.Argument); reply != "" {
			fmt.Fprintf(b, "\t,%s) %s ;;\n", c.Name, reply)
		}
	}
	fmt.Fprint(b, "\tesac\n")
	fmt.Fprintf(b, bashTail, p.Name, p.function())
}

func bashReply(v Value) string {
	switch v.Kind {
	case File:
		return `compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- "$current")`
	case Interface:
		return `COMPREPLY=($(compgen -W "$(ls /sys/class/net)" -- "$current"))`
	case Words:
		return fmt.Sprintf(`COMPREPLY=($(compgen -W %s -- "$current"))`, quote(strings.Join(v.Words, " ")))
	}
	return ""
}
