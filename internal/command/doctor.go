package command

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/doctor"
)

// errFindings makes the exit code 1, and was told already.
var errFindings = errors.New("there are findings")

// examine looks at this host, and says what to do about what it finds. It fails
// where there is a warning or a failure; notes do not count.
func examine(inv *invocation) error {
	file, err := inv.flags.GetString("config")
	if err != nil {
		return err
	}
	subject := doctor.Subject{File: file}
	if subject.Config, subject.Err = config.Load(inv.flags); subject.Err != nil {
		// What can be looked at all the same. What is wrong with it was told.
		subject.Config.Device, _ = config.LoadDevice(inv.flags)
		subject.Config.Admin, _ = config.LoadAdmin(inv.flags)
	}
	report := doctor.Examine(context.Background(), doctor.System(), subject)
	if inv.json {
		err = json.NewEncoder(inv.stdout).Encode(report)
	} else {
		_, err = inv.stdout.Write(appendReport(nil, &report))
	}
	if err == nil && report.Failures+report.Warnings > 0 {
		err = errFindings
	}
	return err
}
