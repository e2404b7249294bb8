package guest

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/ssyncp/ssyncp/docs"
	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
)

var documentedSysctl = regexp.MustCompile(`\bnet\.(?:ipv4|ipv6|netfilter|core)\.[a-z0-9_.]*[a-z0-9_]`)

// Whatever documents say of settings, the kernel has them. The names of
// interfaces are examples there.
func TestDocumentedSysctlsExist(t *testing.T) {
	director.LoadModule(t)
	a := topology.New(t, 1, 1).Directors[0]
	// What the connection tracking of a namespace has comes with its first rule.
	guard(t, a, statefulFirewall)
	names, err := fs.Glob(docs.Files, "*.md")
	if err != nil {
		t.Fatal(err)
	}
	seen := make(map[string]bool)
	for _, name := range names {
		text, err := fs.ReadFile(docs.Files, name)
		if err != nil {
			t.Fatal(err)
		}
		for _, key := range documentedSysctl.FindAllString(string(text), -1) {
			path := strings.ReplaceAll(strings.NewReplacer(".eth0.", ".lo.", ".eth1.", ".lo.", ".eth2.", ".lo.", ".tunl0.", ".lo.").Replace(key), ".", "/")
			err := a.Do(func() error {
				_, err := os.Stat("/proc/sys/" + path)
				return err
			})
			if err != nil {
				t.Errorf("docs/%s: %s: %v", name, key, err)
			}
			seen[key] = true
		}
	}
	if len(seen) < 10 {
		t.Errorf("%d settings found: the test does not see them", len(seen))
	}
}
