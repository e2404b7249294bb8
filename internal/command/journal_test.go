package command_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ssyncp/ssyncp/internal/command"
)

// mainVariable makes this test binary the program.
const mainVariable = "TEST_COMMAND_MAIN"

func TestMain(m *testing.M) {
	if os.Getenv(mainVariable) != "" {
		os.Exit(command.Main(os.Args[1:], "1.2.3", os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

func TestJournalIsToldPriorities(t *testing.T) {
	for _, tt := range []struct {
		name   string
		stream func(*syscall.Stat_t) string // JOURNAL_STREAM
		want   string
	}{
		{"the journal", func(s *syscall.Stat_t) string { return fmt.Sprintf("%d:%d", s.Dev, s.Ino) }, "<3>ssyncpd: "},
		{"something else than the journal", func(s *syscall.Stat_t) string { return fmt.Sprintf("%d:%d", s.Dev, s.Ino+1) }, "ssyncpd: "},
		{"no journal", func(*syscall.Stat_t) string { return "" }, "ssyncpd: "},
		{"nonsense", func(*syscall.Stat_t) string { return "journal" }, "ssyncpd: "},
	} {
		t.Run(tt.name, func(t *testing.T) {
			stderr, err := os.Create(filepath.Join(t.TempDir(), "stderr"))
			if err != nil {
				t.Fatal(err)
			}
			defer stderr.Close()
			info, err := stderr.Stat()
			if err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command("/proc/self/exe", "--config=/nonexistent/ssyncpd.toml")
			cmd.Env = append(os.Environ(), mainVariable+"=1", "JOURNAL_STREAM="+tt.stream(info.Sys().(*syscall.Stat_t)))
			cmd.Stderr = stderr
			if err := cmd.Run(); err == nil {
				t.Error("it started")
			}
			text, err := os.ReadFile(stderr.Name())
			if err != nil {
				t.Fatal(err)
			}
			if !strings.HasPrefix(string(text), tt.want) {
				t.Errorf("%s", text)
			}
		})
	}
}
