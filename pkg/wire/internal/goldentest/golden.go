// Package goldentest reads annotated octets, which are written by hand.
package goldentest

import (
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Read returns the octets of a file in testdata: see [Parse].
func Read(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	octets, err := Parse(string(text))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return octets
}

// Parse returns octets that are written in hexadecimal, with blanks and
// newlines between them; "#" to the end of the line is a comment.
func Parse(text string) ([]byte, error) {
	var digits strings.Builder
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(line, "#")
		for _, octets := range strings.Fields(line) {
			digits.WriteString(octets)
		}
	}
	octets, err := hex.DecodeString(digits.String())
	if err != nil {
		return nil, fmt.Errorf("goldentest: %w", err)
	}
	return octets, nil
}
