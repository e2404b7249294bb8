package chardev_test

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// names are what a pattern finds, each once.
func names(pattern, text string) []string {
	found := regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1)
	list := make([]string, len(found))
	for i, m := range found {
		list[i] = m[1]
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func TestManualHasTheWholeContract(t *testing.T) {
	page := read(t, "../../docs/man/ssyncp.4")
	header := read(t, "../../kmod/uapi/ssyncp.h")
	const symbol = `\b(SSYNCP_(?:IOC|MODE|ATTACH|OPT|MARK|KIND|EVENT|COUNTER|REFUSED|MISSING|STATE|READ|WRITE|ABI)_[A-Z_]*[A-Z])\b`

	told, is := names(symbol, page), names(symbol, header)
	for _, name := range is {
		if !slices.Contains(told, name) && name != "SSYNCP_IOC_MAGIC" && name != "SSYNCP_REFUSED_REASONS" {
			t.Errorf("%s is missing", name)
		}
	}
	for _, name := range told {
		if !slices.Contains(is, name) {
			t.Errorf("there is no %s", name)
		}
	}

	errors := names(`\.It Bq Er (E[A-Z]+)`, page)
	for _, name := range names(`-(E[A-Z]+)\b`, header) {
		if !slices.Contains(errors, name) {
			t.Errorf("%s is missing", name)
		}
	}

	parameters := names(`module_param_named\((\w+),`, read(t, "../../kmod/main.c"))
	section := regexp.MustCompile(`(?s)\.Ss Module parameters.*?\.El`).FindString(page)
	if got := names(`\.It Va (\w+)`, section); !slices.Equal(got, parameters) {
		t.Errorf("parameters of the manual: %q\nwant %q", got, parameters)
	}
}
