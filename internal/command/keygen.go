package command

import (
	"fmt"
	"path/filepath"

	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/keyring"
)

// keygen makes a key file, and never shows the key.
func keygen(inv *invocation) error {
	// Somebody who names a file needs no configuration.
	configured, err := config.LoadKeyFile(inv.flags)
	path := configured
	if inv.argument != "" {
		path, err = filepath.Abs(inv.argument)
	}
	if err != nil {
		return err
	}
	key, err := keyring.Create(path)
	if err != nil {
		return err
	}
	fmt.Fprintf(inv.stdout, "made %v in %s\n"+
		"Next: copy it to every other director of the cluster, such as with scp -p %[2]s director:%[2]s; ssyncpd check-config shows its ID there.\n",
		key, path)
	if path != configured {
		fmt.Fprintf(inv.stdout, "It is used when wire.key_file names it; wire.key_file_accepted, in the configuration file, says how to change keys while nothing is lost.\n")
	}
	return nil
}
