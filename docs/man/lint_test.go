// Package man has the manual pages.
package man

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// pages are what people read with man.
func pages(t *testing.T) []string {
	t.Helper()
	found, err := filepath.Glob("*.[1-8]")
	if err != nil || len(found) != 3 {
		t.Fatalf("%q, %v", found, err)
	}
	return found
}

func run(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("%s is not installed: lab/install-packages unit", name)
	}
	// Whatever it finds is in its output, not in its status.
	out, _ := exec.Command(path, args...).CombinedOutput()
	return string(out)
}

func TestPagesHaveNoFaultForMandoc(t *testing.T) {
	for _, page := range pages(t) {
		for line := range strings.Lines(run(t, "mandoc", "-T", "lint", page)) {
			// What else is installed here is not a fault of the page.
			if !strings.Contains(line, "referenced manual not found") && !strings.Contains(line, "outdated mandoc.db") {
				t.Error(line)
			}
		}
	}
}

func TestPagesHaveNoWarningForMan(t *testing.T) {
	t.Setenv("LC_ALL", "C.UTF-8")
	for _, page := range pages(t) {
		out := run(t, "man", "--warnings", "--encoding=UTF-8", "--local-file", "--troff-device=utf8", "--ditroff", page)
		if i := strings.Index(out, "warning"); i >= 0 || !strings.Contains(out, "x T utf8") {
			t.Errorf("%s: %.300s", page, out[max(0, i-100):])
		}
	}
}
