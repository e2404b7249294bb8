package main

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/ssyncp/ssyncp/lab/vm"
)

// A script is what a guest's shell is to do, up to the first failure.
type script struct {
	strings.Builder
}

func newScript() *script {
	s := &script{}
	// busybox ash prefers an ip of its own, which knows no namespaces.
	s.say(`ip() { /sbin/ip "$@"; }`)
	return s
}

// say adds lines.
func (s *script) say(format string, args ...any) { fmt.Fprintf(s, format+"\n", args...) }

// await waits, some seconds at most, until a file contains a text; both are
// shown where it does not.
func (s *script) await(text, file string) {
	s.say("n=0; until grep -q '%s' %s; do", text, file)
	s.say("  n=$((n+1)); [ $n -lt 200 ] || { echo \"no '%s':\"; cat %s; exit 1; }; usleep 50000", text, file)
	s.say("done")
}

// run runs the script; purpose is for the error, which also has what the
// guest said.
func (s *script) run(ctx context.Context, guest *vm.Guest, purpose string) error {
	_, err := s.output(ctx, guest, purpose)
	return err
}

// output runs the script and returns what the guest said.
func (s *script) output(ctx context.Context, guest *vm.Guest, purpose string) ([]byte, error) {
	var said bytes.Buffer
	err := guest.Run(ctx, vm.Command{
		Argv: []string{"sh", "-e"}, Stdin: []byte(s.String()), Stdout: &said, Stderr: &said,
	})
	if err != nil {
		return nil, fmt.Errorf("%s: %s: %w\n%s", guest.Name(), purpose, err, bytes.TrimSpace(said.Bytes()))
	}
	return said.Bytes(), nil
}
