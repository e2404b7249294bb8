package command_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A typed is a command line that is not complete, and what its last word may
// become.
var typed = []struct {
	name string
	line string
	want []string
}{
	{"a command", "ssyncpd check", []string{"check-config"}},
	{"commands that begin alike", "ssyncpd con", []string{"config"}},
	{"a command behind a flag", "ssyncpd --sync-id 7 che", []string{"check-config"}},
	{"the one argument of a command", "ssyncpd config s", []string{"show"}},
	{"a role", "ssyncpd role --instance VI_1 ma", []string{"master"}},
	{"a class", "ssyncpd diff lb2 --class c", []string{"conntrack"}},
	{"a role behind a flag with =", "ssyncpd role --instance=VI_1 ma", []string{"master"}},
	{"no second argument", "ssyncpd role master ba", nil},
	{"a flag of every command", "ssyncpd --log-f", []string{"--log-format"}},
	{"a flag of the command", "ssyncpd status --js", []string{"--json"}},
	{"the value of a flag", "ssyncpd --log-format j", []string{"json"}},
	{"the value of a flag with =", "ssyncpd --log-format=j", []string{"json"}},
	{"a flag whose value is true or false", "ssyncpd --metrics-public f", []string{"false"}},
	{"a file", "ssyncpd --config DIR/ssyncp", []string{"DIR/ssyncpd.toml"}},
	{"a file as an argument", "ssyncpd keygen DIR/ssyncp", []string{"DIR/ssyncpd.toml"}},
	{"an interface", "ssyncpd --multicast-interface l", []string{"lo"}},
	{"nothing where anything may stand", "ssyncpd --wire-name st", nil},
}

// script returns the file with the completions of a shell.
func script(t *testing.T, shell string) string {
	t.Helper()
	if _, err := exec.LookPath(shell); err != nil {
		t.Skipf("%s is not installed: lab/install-packages unit", shell)
	}
	code, stdout, stderr := execute("completion", shell)
	if code != 0 {
		t.Fatal(stderr)
	}
	file := filepath.Join(t.TempDir(), "script")
	if err := os.WriteFile(file, []byte(stdout), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// completes asks a shell for every line. DIR is a directory with one file.
func completes(t *testing.T, ask func(line string) string) {
	t.Helper()
	directory := t.TempDir()
	if err := os.WriteFile(filepath.Join(directory, "ssyncpd.toml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range typed {
		t.Run(tt.name, func(t *testing.T) {
			got := strings.Fields(ask(strings.ReplaceAll(tt.line, "DIR", directory)))
			for i := range got {
				got[i] = strings.ReplaceAll(got[i], directory, "DIR")
			}
			if !slices.Equal(got, tt.want) {
				t.Errorf("%q becomes %q, want %q", tt.line, got, tt.want)
			}
		})
	}
}

func output(t *testing.T, name string, args ...string) string {
	t.Helper()
	out, err := exec.Command(name, args...).CombinedOutput()
	if err != nil {
		t.Errorf("%s: %v\n%s", name, err, out)
	}
	return string(out)
}

func TestBashCompletes(t *testing.T) {
	file := script(t, "bash")
	// What readline does with a line: = is a word of its own.
	const ask = `source "$1"; line=${2//=/ = }; COMP_WORDS=($line); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _ssyncpd; printf '%s\n' "${COMPREPLY[@]}"`
	completes(t, func(line string) string { return output(t, "bash", "--norc", "-c", ask, "bash", file, line) })
}

func TestFishCompletes(t *testing.T) {
	file := script(t, "fish")
	t.Setenv("HOME", t.TempDir())
	completes(t, func(line string) string {
		out := output(t, "fish", "--no-config", "-c", `source $argv[1]; complete -C $argv[2]`, file, line)
		var words strings.Builder
		for line := range strings.Lines(out) {
			word, _, _ := strings.Cut(line, "\t")
			words.WriteString(strings.TrimPrefix(word, "--log-format=") + "\n")
		}
		return words.String()
	})
}

// A shell on a terminal: what the line editor makes of the line, then of a tab.
const zshTerminal = `
zmodload zsh/zpty
zpty terminal zsh -f -i
tell() { zpty -w terminal "$1" }
tell "unsetopt zle_bracketed_paste beep; PROMPT= RPROMPT= LISTMAX=9999; autoload -Uz compinit; compinit -u -d $1.known; source $1"
tell "show() { print -r -- \"<\${BUFFER}>\"; BUFFER= }; zle -N show; bindkey '^X' show; print ready-\$((1 + 1))"
seen=
while [[ $seen != *ready-2* ]]; do zpty -r terminal part || exit 1; seen+=$part; done
zpty -w -n terminal "$2"$'\t\x18'
seen=
while [[ $seen != *\<*\>* ]]; do zpty -r terminal part || exit 1; seen+=$part; done
seen=${seen##*<}
print -r -- ${seen%%>*}
`

func TestZshCompletes(t *testing.T) {
	file := script(t, "zsh")
	completes(t, func(line string) string {
		became := strings.TrimRight(output(t, "zsh", "-f", "-c", zshTerminal, "zsh", file, line), " \r\n")
		if became == line {
			return ""
		}
		word := became[strings.LastIndexAny(became, " ")+1:]
		return strings.TrimPrefix(strings.TrimSuffix(word, "="), "--log-format=")
	})
}

func TestCompletionOfAnotherShellIsRefused(t *testing.T) {
	code, _, stderr := execute("completion", "tcsh")
	if code != 2 || !strings.Contains(stderr, `"tcsh"; there are some for bash, zsh, fish`) {
		t.Errorf("exit %d: %s", code, stderr)
	}
}
