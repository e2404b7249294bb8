package config

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
)

// entries of the manual by their keys.
func entries(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/man/ssyncpd.toml.5")
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]string{}
	for _, part := range strings.Split(string(text), "\n.It Va ")[1:] {
		key, entry, _ := strings.Cut(part, "\n")
		entry, _, _ = strings.Cut(entry, "\n.El\n")
		found[key] = entry
	}
	return found
}

func TestManualHasEveryKeyWithItsDefault(t *testing.T) {
	manual := entries(t)
	for _, k := range keys {
		entry, is := manual[k.name]
		preset := fmt.Sprint(k.preset)
		switch {
		case !is:
			t.Errorf("%s is missing", k.name)
		case preset != "" && preset != "false" && k.name != "sync_id" &&
			!regexp.MustCompile(`(^|[\s("])`+regexp.QuoteMeta(preset)+`\b`).MatchString(entry):
			t.Errorf("%s: its default, %s, is not told:\n%s", k.name, preset, entry)
		}
		for word := range strings.SplitSeq(k.takes, "|") {
			if strings.Contains(k.takes, "|") && word != "false" && !strings.Contains(entry, word) {
				t.Errorf("%s: %s is not told", k.name, word)
			}
		}
		delete(manual, k.name)
	}
	for key := range manual {
		t.Errorf("there is no key %s", key)
	}
}

func TestManualHasEveryKeyOfALink(t *testing.T) {
	links := entries(t)["links"]
	for _, key := range linkKeys {
		if !strings.Contains(links, ".Va "+key+" ") && !strings.Contains(links, ".Va "+key+"\n") {
			t.Errorf("%s is missing", key)
		}
	}
}
