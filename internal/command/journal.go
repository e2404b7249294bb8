package command

import (
	"io"
	"log/slog"
	"os"

	"github.com/coreos/go-systemd/v22/journal"

	"github.com/ssyncp/ssyncp/internal/logging"
)

// isJournal reports whether the journal reads what is written there. Where that
// cannot be told, it most likely does not.
func isJournal(stderr io.Writer) bool {
	if stderr != os.Stderr {
		return false
	}
	is, err := journal.StderrIsJournalStream()
	return is && err == nil
}

// priority is what a line begins with.
func (inv *invocation) priority(level slog.Level) string {
	if !inv.journal {
		return ""
	}
	return logging.Prefix(level)
}
