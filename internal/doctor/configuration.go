package doctor

import (
	"errors"
	"strings"
	"time"

	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/identity"
)

// configuration says what the configuration itself says.
func (x *examination) configuration() {
	if x.Err != nil {
		for line := range strings.Lines(x.Err.Error()) {
			x.find(Failure, "mend "+x.File+"; `ssyncpd check-config` tells when it is valid", "%s", strings.TrimSpace(line))
		}
		return
	}
	x.fact("sync ID %d, version %d", x.Config.SyncID, x.Config.Wire.Version)
	for _, warning := range x.Config.Warnings(time.Now()) {
		remedy := `remove wire.dual_until when all directors speak version 2`
		if x.Config.Wire.Auth == config.AuthNone {
			remedy = "make a key with `ssyncpd keygen`, copy it to all directors, and set wire.auth = \"psk\""
		}
		x.find(Warning, remedy, "%s", warning)
	}
	if x.Config.Wire.Version == 1 {
		return
	}
	self, err := x.host.Identity(x.Config.Wire.SenderID, x.Config.Wire.Name)
	switch {
	case errors.Is(err, identity.ErrName):
		x.find(Failure, "set wire.name", "%v", err)
	case err != nil:
		x.find(Failure, "systemd-machine-id-setup, or set wire.sender_id to a number that no other director has", "%v", err)
	default:
		x.fact("director %08x, named %s", self.SenderID, self.Name)
	}
}
