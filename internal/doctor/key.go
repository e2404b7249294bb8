package doctor

import (
	"errors"
	"fmt"

	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/keyring"
	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

// key looks at the key files as the daemon's user does.
func (x *examination) key() {
	w := x.Config.Wire
	if x.Err != nil || w.Version == 1 || w.Auth == config.AuthNone {
		return
	}
	as, ok := x.runsAs()
	if !ok {
		return // that was told
	}
	seal := x.keyFile(w.KeyFile, as, "sends with")
	if w.AcceptedKeyFile == "" {
		return
	}
	if accepted := x.keyFile(w.AcceptedKeyFile, as, "accepts"); accepted.Valid() && accepted == seal {
		x.find(Failure, "copy the new one anew from the director that it was made on, or remove wire.key_file_accepted",
			"%s and %s hold the same key", w.KeyFile, w.AcceptedKeyFile)
	}
}

// keyFile returns the key of a file, which is not valid where there is none.
func (x *examination) keyFile(path string, as account, does string) frame.Key {
	key, err := x.host.Key(path, as.user)
	if err != nil {
		x.find(Failure, keyRemedy(path, as, err), "%v", err)
		return frame.Key{}
	}
	if why, remedy := as.unreadable(x.host.Files, path); why != "" {
		x.find(Failure, remedy, "user %s, who ssyncpd runs as, cannot read the key file %s: %s", as.name, path, why)
	}
	x.fact("%s %v: compare with the other directors'", does, key)
	return key
}

func keyRemedy(path string, as account, err error) string {
	switch {
	case errors.Is(err, keyring.ErrAbsent):
		return "on the first director: ssyncpd keygen " + path + "; on the others: scp -p it from there"
	case errors.Is(err, keyring.ErrMode):
		return fmt.Sprintf("chgrp %s %[2]s and chmod 640 %[2]s; if somebody may have read it, change the key (README: a new key, and nothing lost)",
			keyring.Group, path)
	case errors.Is(err, keyring.ErrOwner):
		return "chown root " + path
	case errors.Is(err, keyring.ErrUnreadable):
		return fmt.Sprintf("run ssyncpd doctor as root; for %s: chgrp %s %[3]s and chmod 640 %[3]s", as.name, keyring.Group, path)
	}
	return "copy it anew from another director"
}
