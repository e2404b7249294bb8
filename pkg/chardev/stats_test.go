package chardev_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/ssyncp/ssyncp/pkg/chardev"
)

func TestEveryCounterAndReasonHasItsOwnName(t *testing.T) {
	var s chardev.Stats
	for c := range s.Counters {
		s.Counters[c] = uint64(c) + 1
	}
	snake := regexp.MustCompile(`^[a-z]+(_[a-z]+)*$`)
	seen := map[string]bool{}
	for c, value := range s.All() {
		name := c.String()
		if !snake.MatchString(name) || seen[name] {
			t.Errorf("counter %d has the name %q", int(c), name)
		}
		seen[name] = true
		if value != uint64(c)+1 {
			t.Errorf("%s is %d, want %d", name, value, int(c)+1)
		}
	}
	if len(seen) != int(chardev.Counters) {
		t.Errorf("%d names, want %d", len(seen), int(chardev.Counters))
	}
	for r := range chardev.Reasons {
		if !seen["refused_"+r.String()] {
			t.Errorf("reason %v has no counter", r)
		}
		if got, want := s.Refused(r), uint64(chardev.CounterRefused)+uint64(r)+1; got != want {
			t.Errorf("refused %v: %d, want %d", r, got, want)
		}
	}
}

func TestEveryBitSaysWhetherItIsSet(t *testing.T) {
	var set []string
	count := 0
	for name, is := range (chardev.StateCapturing | chardev.StateBuried).All() {
		if count++; is {
			set = append(set, name)
		}
	}
	for name, is := range chardev.MissingServiceFind.All() {
		if count++; is {
			set = append(set, name)
		}
	}
	if got := strings.Join(set, ","); got != "capturing,buried,service_find" || count != 5+8 {
		t.Errorf("%s, of %d", got, count)
	}
}

func TestBitsAreNamed(t *testing.T) {
	for _, tt := range []struct{ got, want string }{
		{chardev.Missing(0).String(), "none"},
		{(chardev.MissingCtInGet | chardev.MissingConnListen).String(), "ct_in_get,conn_listen"},
		{(chardev.StateCapturing | chardev.StateBuried | 0x100).String(), "capturing,buried,0x100"},
		{(chardev.EventLost | chardev.EventMasterStopped).String(), "lost,master_stopped"},
		{chardev.ModeSnapshot.String(), "snapshot"},
		{chardev.Mode(9).String(), "mode 9"},
		{chardev.Reason(99).String(), "reason 99"},
		{chardev.Counter(99).String(), "counter 99"},
		{chardev.Counter(-1).String(), "counter -1"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}
