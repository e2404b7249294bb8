package command

import (
	"io"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/pflag"

	"github.com/ssyncp/ssyncp/internal/config"
)

// tagged are the first words of a page's list items of a kind, such as "Cm".
func tagged(page, kind string) []string {
	var words []string
	for _, m := range regexp.MustCompile(`(?m)^\.It `+kind+` -?([\w.-]+)`).FindAllStringSubmatch(page, -1) {
		words = append(words, m[1])
	}
	slices.Sort(words)
	return slices.Compact(words)
}

func TestManualHasEveryCommandAndFlag(t *testing.T) {
	text, err := os.ReadFile("../../docs/man/ssyncpd.8")
	if err != nil {
		t.Fatal(err)
	}
	page := string(text)
	var names []string
	for _, c := range commands {
		names = append(names, c.name)
		if !strings.Contains(page, "\n.Cm "+c.name) && c.name != "run" {
			t.Errorf("%s is not in the synopsis", c.name)
		}
		item := regexp.MustCompile(`\n\.It Cm ` + c.name + `\b.*`).FindString(page)
		if (c.argument != "") != (len(strings.Fields(item)) > 3) {
			t.Errorf("%s [%s]: the manual has %q", c.name, c.argument, item)
		}
	}
	slices.Sort(names)
	if got := tagged(page, "Cm"); !slices.Equal(got, names) {
		t.Errorf("commands of the manual: %q\nwant %q", got, names)
	}

	keys := pflag.NewFlagSet("", pflag.ContinueOnError)
	config.Flags(keys)
	flags := []string{"config", "help"} // the other keys have a page of their own
	for _, f := range describeProgram(commands, newInvocation("", io.Discard, io.Discard).flags).Flags {
		if keys.Lookup(f.Name) == nil {
			flags = append(flags, f.Name)
		}
	}
	slices.Sort(flags)
	if got := tagged(page, "Fl"); !slices.Equal(got, flags) {
		t.Errorf("flags of the manual: %q\nwant %q", got, flags)
	}
}
