package docs_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
	named   = regexp.MustCompile("`((?:docs|contrib|kmod|lab|pkg|internal)/[a-zA-Z0-9_./-]+|[A-Z]+\\.md)`")
)

// slug is the anchor that a heading has on GitHub.
func slug(title string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(title) {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-', r == '_', r > 127:
			b.WriteRune(r)
		case r == ' ':
			b.WriteByte('-')
		}
	}
	return b.String()
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestLinksLeadSomewhere(t *testing.T) {
	files, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(files, "../README.md", "../SECURITY.md", "../lab/README.md") {
		text := read(t, file)
		for _, found := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, hasAnchor := strings.Cut(found[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			to := file
			if target != "" {
				to = filepath.Join(filepath.Dir(file), target)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: %s is not there", file, found[1])
				continue
			}
			if hasAnchor && !hasHeading(read(t, to), anchor) {
				t.Errorf("%s: %s has no heading %s", file, to, anchor)
			}
		}
		for _, found := range named.FindAllStringSubmatch(text, -1) {
			if _, err := os.Stat(filepath.Join("..", strings.TrimSuffix(found[1], "/"))); err != nil {
				t.Errorf("%s: there is no %s", file, found[1])
			}
		}
	}
}

func hasHeading(text, anchor string) bool {
	for _, found := range heading.FindAllStringSubmatch(text, -1) {
		if slug(strings.ReplaceAll(found[1], "`", "")) == anchor {
			return true
		}
	}
	return false
}

func TestSlugsAreThoseOfGitHub(t *testing.T) {
	for title, want := range map[string]string{
		"Install on a director":                                     "install-on-a-director",
		"Directors that are real servers as well (DR)":              "directors-that-are-real-servers-as-well-dr",
		"What a forged record can and cannot do, with the defaults": "what-a-forged-record-can-and-cannot-do-with-the-defaults",
		"Overload, and what it takes in memory":                     "overload-and-what-it-takes-in-memory",
		"CHALLENGE (0x03) and ECHO (0x04)":                          "challenge-0x03-and-echo-0x04",
	} {
		if got := slug(title); got != want {
			t.Errorf("%s: %s, want %s", title, got, want)
		}
	}
}
