package completion

import (
	"fmt"
	"strings"
)

const fishHead = `# fish completion for %[1]s

# The command and its argument, as far as they were typed, and no values of flags.
function _%[2]s_words
	set -l value no
	set -l words
	for word in (commandline -opc)[2..]
		if test $value = yes
			set value no
			continue
		end
		switch $word
			case %[3]s '--*=*'
			case '--*'
				set value yes
			case '*'
				set -a words $word
		end
	end
	count $words >/dev/null; and printf '%%s\n' $words
end

complete -c %[1]s -f
complete -c %[1]s -l help -d 'show help and exit'
`

func fish(b *strings.Builder, p Program) {
	words := "_" + p.function() + "_words"
	without := append(p.flags(func(f Flag) bool { return f.Value.Kind == None }), "--help")
	fmt.Fprintf(b, fishHead, p.Name, p.function(), strings.Join(without, " "))
	for _, c := range p.Commands {
		fmt.Fprintf(b, "complete -c %s -n 'not %s' -a %s -d %s\n", p.Name, words, c.Name, fishQuote(c.Usage))
	}
	for _, c := range p.Commands {
		if takes := fishValue(c.Argument); takes != "" && c.Argument.Kind != Text {
			fmt.Fprintf(b, "complete -c %s -n 'test \"$(%s)\" = %s'%s\n", p.Name, words, c.Name, takes)
		}
	}
	for _, f := range p.Flags {
		condition := ""
		if f.Commands != nil {
			condition = fmt.Sprintf(" -n 'contains -- (%s)[1] %s'", words, strings.Join(f.Commands, " "))
		}
		required := ""
		if f.Value.Kind != None {
			required = " -r"
		}
		fmt.Fprintf(b, "complete -c %s%s -l %s%s%s -d %s\n", p.Name, condition, f.Name, required, fishValue(f.Value), fishQuote(f.Usage))
	}
}

func fishValue(v Value) string {
	switch v.Kind {
	case Text:
		return " -f"
	case File:
		return " -F"
	case Interface:
		return " -f -a '(ls /sys/class/net)'"
	case Words:
		return " -f -a " + fishQuote(strings.Join(v.Words, " "))
	}
	return ""
}

// fishQuote is quote by the rules of fish, which knows escapes within quotes.
func fishQuote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, "'", `\'`).Replace(text) + "'"
}
