package daemon

import (
	"io/fs"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ssyncp/ssyncp/docs"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// What operators are to look at, by the documents that they have.
var (
	ofGroup  = regexp.MustCompile("`([a-z]+_[a-z_]+) ([a-z0-9_]+)`")
	ofModule = regexp.MustCompile("`((?:dropped|skipped|refused|write|read)_[a-z_]+)`")
)

func TestDocumentedCountersExist(t *testing.T) {
	all, troubles := everything(t).counters()
	groups := make(map[string][]string)
	for _, g := range slices.Concat(all, troubles) {
		for name := range g.All() {
			groups[g.Group()] = append(groups[g.Group()], name)
		}
	}
	module := make(map[string]bool)
	var s chardev.Stats
	for c := range s.All() {
		module[c.String()] = true
	}
	count := 0
	for _, name := range []string{"install.md", "three-directors.md", "cloud.md", "tuning.md", "troubleshooting.md", "first-pair.md", "migrating.md", "dr-directors.md"} {
		text, err := fs.ReadFile(docs.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range ofGroup.FindAllStringSubmatch(string(text), -1) {
			if names, known := groups[found[1]]; known || strings.Contains(found[1], "_") {
				count++
				if !slices.Contains(names, found[2]) {
					t.Errorf("docs/%s: there is no counter %s of %s", name, found[2], found[1])
				}
			}
		}
		for _, found := range ofModule.FindAllStringSubmatch(string(text), -1) {
			count++
			if !module[found[1]] {
				t.Errorf("docs/%s: the module has no counter %s", name, found[1])
			}
		}
	}
	if count < 20 {
		t.Errorf("%d counters found: the test does not see them", count)
	}
}
