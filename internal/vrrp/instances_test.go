package vrrp

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// start is when nothing has happened yet.
var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

func TestWhatRolesAskFor(t *testing.T) {
	for _, tt := range []struct {
		name  string
		tells string // instance=role@seconds, in order
		want  string // what is done, at which time after the start
	}{
		{"nothing without a role", "", ""},
		{"a master announces", "A=master@0", "announce@250ms"},
		{"a backup resyncs", "A=backup@0", "resync@250ms"},
		{"a fault asks for nothing", "A=fault@0", ""},
		{"an instance that is gone asks for nothing", "A=fault@0 A=stop@1", ""},
		{"masters and backups side by side", "A=master@0 B=backup@0", "announce@250ms resync@250ms"},
		{"instances that change together are one", "A=master@0 B=master@0.1 C=master@0.2", "announce@250ms"},
		{"the same again asks for nothing", "A=master@0 A=master@10", "announce@250ms"},
		{"what comes within a minute waits for its end", "A=master@0 B=master@10 C=master@20", "announce@250ms announce@1m0.25s"},
		{"later it does not wait", "A=master@0 B=master@100", "announce@250ms announce@1m40.25s"},
		{"the two do not wait for each other", "A=master@0 A=backup@10", "announce@250ms resync@10.25s"},
		{"one that flaps", "A=master@0 A=backup@1 A=master@2 A=backup@3 A=master@4", "announce@250ms resync@1.25s announce@1m0.25s"},
		{"a master that is none any more asks for nothing", "A=master@0 B=master@10 A=fault@11 B=fault@12", "announce@250ms"},
		{"but for the sake of another one", "A=master@0 B=master@10 B=fault@12", "announce@250ms announce@1m0.25s"},
		{"a short master", "A=master@0 A=fault@0.1", ""},
		{"a backup that is gone", "A=backup@0 A=stop@0.1", ""},
		{"a fault that ends", "A=fault@0 A=backup@5", "resync@5.25s"},
		{"a master after all of them were gone", "A=master@0 A=stop@100 A=master@200", "announce@250ms announce@3m20.25s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var s instances
			var done []string
			until := func(end time.Time) {
				for next := s.next(); !next.IsZero() && !next.After(end); next = s.next() {
					if s.announce.due(next) {
						done = append(done, "announce@"+next.Sub(start).String())
					}
					if s.resync.due(next) {
						done = append(done, "resync@"+next.Sub(start).String())
					}
				}
			}
			for tell := range strings.FieldsSeq(tt.tells) {
				name, rest, _ := strings.Cut(tell, "=")
				text, when, _ := strings.Cut(rest, "@")
				role, err := ParseRole(text)
				if err != nil {
					t.Fatal(err)
				}
				after, err := time.ParseDuration(when + "s")
				if err != nil {
					t.Fatal(err)
				}
				until(start.Add(after))
				if _, err := s.set(start.Add(after), name, role); err != nil {
					t.Fatal(err)
				}
			}
			until(start.Add(time.Hour))
			if got := strings.Join(done, " "); got != tt.want {
				t.Errorf("done: %s, want %s", got, tt.want)
			}
		})
	}
}

func TestRolesAreRemembered(t *testing.T) {
	var s instances
	for i, set := range []struct {
		name   string
		role   Role
		before Role
	}{
		{"VI_2", Backup, None}, {"VI_1", Master, None}, {"VI_2", Fault, Backup}, {"VI_3", Backup, None}, {"VI_3", None, Backup}, {"VI_1", Master, Master},
	} {
		if before, err := s.set(start.Add(time.Duration(i)*time.Second), set.name, set.role); err != nil || before != set.before {
			t.Errorf("%v: before %v, %v", set, before, err)
		}
	}
	want := []Instance{{"VI_1", Master, start.Add(time.Second)}, {"VI_2", Fault, start.Add(2 * time.Second)}}
	if got := s.list(); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", got, want)
	}
}

func TestRefusedInstances(t *testing.T) {
	for _, name := range []string{"", strings.Repeat("n", MaxName+1), "VI\n1", "VI\x7f", "\xff"} {
		var s instances
		if _, err := s.set(start, name, Master); !errors.Is(err, ErrName) {
			t.Errorf("%q: %v", name, err)
		}
		if !s.next().IsZero() || len(s.list()) > 0 {
			t.Errorf("%q was taken all the same", name)
		}
	}
	var s instances
	for i := range MaxInstances {
		if _, err := s.set(start, fmt.Sprint("VI_", i), Backup); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.set(start, "one more", Backup); !errors.Is(err, ErrInstances) {
		t.Errorf("one more: %v", err)
	}
	if _, err := s.set(start, "VI_0", Master); err != nil {
		t.Errorf("one that is there: %v", err)
	}
}

func TestParseRole(t *testing.T) {
	for text, want := range map[string]Role{"master": Master, "MASTER": Master, "Backup": Backup, "fault": Fault, "stop": None} {
		if got, err := ParseRole(text); err != nil || got != want {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"", "none", "slave", "master "} {
		if _, err := ParseRole(text); !errors.Is(err, ErrRole) || !strings.Contains(err.Error(), "master, backup, fault") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
