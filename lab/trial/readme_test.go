package trial

import (
	"os"
	"slices"
	"strings"
	"testing"
)

func readSession(t *testing.T) Session {
	t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	s, err := ReadSession(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func readPair(t *testing.T) Pair {
	t.Helper()
	text, err := os.ReadFile("../../docs/first-pair.md")
	if err != nil {
		t.Fatal(err)
	}
	p, err := ReadPair(string(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestFirstPairSetsWhatTheSampleHas(t *testing.T) {
	sample, err := os.ReadFile("../../contrib/ssyncpd.toml")
	if err != nil {
		t.Fatal(err)
	}
	file, err := Apply(readPair(t).Settings, string(sample))
	if err != nil || !strings.Contains(file, "\nfifo = \"/run/ssyncp/vrrp.fifo\"\n") {
		t.Errorf("%v\n%s", err, file)
	}
}

func TestReadmeTakesFewerThanTenCommands(t *testing.T) {
	s := readSession(t)
	if s.Length() >= 10 {
		t.Errorf("%d commands: %+v", s.Length(), s)
	}
	if !strings.HasPrefix(s.Install[0], "apt-get install ") || !slices.Contains(s.Start, "systemctl enable --now ssyncpd") {
		t.Errorf("%+v", s)
	}
}

func TestReadmeSetsWhatTheSampleHas(t *testing.T) {
	sample, err := os.ReadFile("../../contrib/ssyncpd.toml")
	if err != nil {
		t.Fatal(err)
	}
	s := readSession(t)
	s.Settings = append(s.Settings, Setting{"[multicast]", `interface = "eth9"`})
	file, err := Apply(s.Settings, string(sample))
	if err != nil || !strings.Contains(file, "\n[multicast]\n") || !strings.Contains(file, "\ninterface = \"eth9\"\n") {
		t.Errorf("%v\n%s", err, file)
	}
	s.Settings = append(s.Settings, Setting{"[log]", "interface = 1"})
	if _, err := Apply(s.Settings, string(sample)); err == nil {
		t.Error("a setting that is nowhere was set")
	}
}
