package command

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/ssyncp/ssyncp/docs"
	"github.com/ssyncp/ssyncp/internal/config"
)

// documents are those of docs, and what else operators read.
func documents(t *testing.T) map[string]string {
	t.Helper()
	texts := make(map[string]string)
	names, err := fs.Glob(docs.Files, "*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		text, err := docs.Files.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		texts["docs/"+name] = string(text)
	}
	for _, name := range []string{"README.md", "SECURITY.md"} {
		text, err := os.ReadFile(filepath.Join("../..", name))
		if err != nil {
			t.Fatal(err)
		}
		texts[name] = string(text)
	}
	return texts
}

var (
	inCode  = regexp.MustCompile("`(ssyncpd [^`]+)`")
	inBlock = regexp.MustCompile(`(?m)^    (?:[a-z0-9]*# |exec )?(ssyncpd .+)$`)
	fenced  = regexp.MustCompile("(?ms)^```toml\n(.*?)^```")
	keyName = regexp.MustCompile("`((?:device|multicast|wire|filter|conntrack|admin|metrics|vrrp|log)\\.[a-z_]+|sync_id)(?: = [^`]*)?`")
)

// invocations returns the command lines of a document, without what the shell
// takes of them.
func invocations(text string) (lines [][]string) {
	for _, found := range slices.Concat(inCode.FindAllStringSubmatch(text, -1), inBlock.FindAllStringSubmatch(text, -1)) {
		line := found[1]
		for _, end := range []string{"#", "|", ">", ";", ","} {
			line, _, _ = strings.Cut(line, " "+end)
		}
		lines = append(lines, strings.Fields(line)[1:])
	}
	return lines
}

func TestDocumentedCommandsExist(t *testing.T) {
	help := usageOfAll(t)
	count := 0
	for name, text := range documents(t) {
		for _, args := range invocations(text) {
			count++
			if problem := misuse(args, help); problem != "" {
				t.Errorf("%s: ssyncpd %s: %s", name, strings.Join(args, " "), problem)
			}
		}
	}
	if count < 50 {
		t.Errorf("%d commands found in all documents: the test does not see them", count)
	}
}

// usageOfAll is the help text, which has all flags.
func usageOfAll(t *testing.T) string {
	t.Helper()
	var out, failed strings.Builder
	if code := Main([]string{"--help"}, "test", &out, &failed); code != exitOK {
		t.Fatal(failed.String())
	}
	return out.String()
}

// misuse says why ssyncpd would not take a command line; "" where it would.
func misuse(args []string, help string) string {
	var words []string
	for i := 0; i < len(args); i++ {
		flag, isFlag := strings.CutPrefix(args[i], "--")
		if !isFlag {
			words = append(words, args[i])
			continue
		}
		flag, _, given := strings.Cut(flag, "=")
		described := regexp.MustCompile(`--` + regexp.QuoteMeta(flag) + `( \S+)?  `).FindStringSubmatch(help)
		if described == nil {
			return "no flag --" + flag
		}
		if described[1] != "" && !given {
			i++ // its value
		}
	}
	if len(words) == 0 {
		return ""
	}
	i := slices.IndexFunc(commands, func(c command) bool { return c.name == words[0] })
	switch {
	case i < 0:
		return "no such command"
	case len(words) > 1 && commands[i].argument == "":
		return "takes no argument"
	case slices.Contains(args, "--json") && !commands[i].json:
		return "knows no --json"
	}
	return ""
}

func TestMisuseIsSeen(t *testing.T) {
	help := usageOfAll(t)
	for line, bad := range map[string]bool{
		"": false, "status --json": false, "--wire-name x status": false, "role --instance VI_1 master": false, "keygen /k": false,
		"frob": true, "status now": true, "check-config --json": true, "--frob status": true, "status --wire": true,
	} {
		if got := misuse(strings.Fields(line), help); (got != "") != bad {
			t.Errorf("%q: %q", line, got)
		}
	}
}

func TestDocumentedKeysExist(t *testing.T) {
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	config.Flags(flags)
	for name, text := range documents(t) {
		for _, found := range keyName.FindAllStringSubmatch(text, -1) {
			if flags.Lookup(strings.NewReplacer(".", "-", "_", "-").Replace(found[1])) == nil {
				t.Errorf("%s: there is no key %s", name, found[1])
			}
		}
	}
}

// Configurations in documents are parts of whole ones; what is there is right.
func TestDocumentedConfigurationsAreValid(t *testing.T) {
	for name, text := range documents(t) {
		for _, found := range fenced.FindAllStringSubmatch(text, -1) {
			file := filepath.Join(t.TempDir(), "ssyncpd.toml")
			whole := found[1]
			if !strings.Contains(whole, "sync_id") {
				whole = "sync_id = 7\n" + whole
			}
			if !strings.Contains(whole, "interface") {
				whole += "\n[multicast]\ninterface = \"eth1\"\n"
			}
			if err := os.WriteFile(file, []byte(whole), 0o600); err != nil {
				t.Fatal(err)
			}
			flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
			config.Flags(flags)
			if err := flags.Parse([]string{"--config", file}); err != nil {
				t.Fatal(err)
			}
			if _, err := config.Load(flags); err != nil {
				t.Errorf("%s: %v\n%s", name, err, found[1])
			}
		}
	}
}
