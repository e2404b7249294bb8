package vm

import (
	"slices"
	"strings"
	"testing"
)

func TestEveryGuestRunsUnderTCGWithOneThread(t *testing.T) {
	for _, c := range []Config{{}, {Counting: true}} {
		args := strings.Join(c.arguments(), " ")
		if !strings.Contains(args, "-accel tcg,thread=single") || strings.Contains(args, "kvm") {
			t.Errorf("counting %v: %s", c.Counting, args)
		}
	}
}

func TestACountingGuestHasOneProcessor(t *testing.T) {
	args := Config{Counting: true}.arguments()
	if i := slices.Index(args, "-smp"); i < 0 || args[i+1] != "1" || slices.Contains(args[i+1:], "-smp") {
		t.Errorf("%q", args)
	}
	if !slices.Contains(args, "shift=0,sleep=off") {
		t.Errorf("no instruction counter: %q", args)
	}
}

func TestCardsHaveAddressesOfTheirOwn(t *testing.T) {
	seen := make(map[string]string)
	for _, name := range []string{"world", "directorA", "directorB", "directorC"} {
		for card := range 3 {
			address := hardwareAddress(name, card)
			if other, taken := seen[address]; taken {
				t.Errorf("%s card %d has the address of %s: %s", name, card, other, address)
			}
			seen[address] = name
			if !strings.HasPrefix(address, "02:") {
				t.Errorf("%s is not a local unicast address", address)
			}
		}
	}
}
