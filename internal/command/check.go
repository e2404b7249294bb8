package command

import (
	"fmt"
	"strings"
	"time"

	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/identity"
	"github.com/ssyncp/ssyncp/internal/keyring"
)

// checkConfig says what the configuration comes to, with the files that it
// names.
func checkConfig(inv *invocation) error {
	c, err := config.Load(inv.flags)
	if err != nil {
		return err
	}
	for _, warning := range c.Warnings(time.Now()) {
		fmt.Fprintf(inv.stderr, "ssyncpd: warning: %s\n", warning)
	}
	if c.Wire.Version == 1 {
		fmt.Fprintf(inv.stdout, "configuration is valid: sync ID %d, %s every %v, %v on %s, at most %d adverts/s\n",
			c.SyncID, c.Device.Path, c.Device.Period, c.Multicast.Group, c.Multicast.Interface, c.Multicast.MaxPPS)
		return nil
	}
	more, err := version2(c)
	if err != nil {
		return err
	}
	fmt.Fprintf(inv.stdout, "configuration is valid: sync ID %d, %s every %v, at most %d frames/s\n%s",
		c.SyncID, c.Device.Path, c.Device.Period, c.Multicast.MaxPPS, more)
	return nil
}

// version2 describes what only version 2 has, a line each.
func version2(c config.Config) (string, error) {
	var b strings.Builder
	fmt.Fprintln(&b, "protocol version 2")

	if c.Wire.Auth == config.AuthNone {
		fmt.Fprintln(&b, "no authentication")
	} else {
		keys, err := keyring.Load(c.Wire.KeyFile, c.Wire.AcceptedKeyFile)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "sends with %v of %s\n", keys.Seal, c.Wire.KeyFile)
		if keys.Accepted.Valid() {
			fmt.Fprintf(&b, "accepts %v of %s, too\n", keys.Accepted, c.Wire.AcceptedKeyFile)
		}
	}

	self, err := identity.Of(c.Wire.SenderID, c.Wire.Name)
	if err != nil {
		return "", err
	}
	source := "configured"
	if c.Wire.SenderID == 0 {
		source = "derived from " + identity.MachineIDFile
	}
	fmt.Fprintf(&b, "director %d (%s), named %q\n", self.SenderID, source, self.Name)

	for i, link := range c.Links {
		fmt.Fprintf(&b, "link %d: %v\n", i+1, link)
	}
	if link, ok := c.Version1Link(); ok && c.Wire.Dual(time.Now()) {
		fmt.Fprintf(&b, "version 1, too, on %s, until %s\n", link.Interface, c.Wire.DualUntil.Format(time.RFC3339))
	}
	fmt.Fprintf(&b, "waits %v for a peer; keeps %d bytes of what it sent\n", c.Wire.JoinTimeout, c.Wire.RingBytes)
	fmt.Fprintln(&b, "sends", sent(c.Filter))
	if c.Conntrack.Enabled {
		fmt.Fprintln(&b, "sends", tracked(c.Conntrack))
	}
	return b.String(), nil
}

// sent describes what passes the filter.
func sent(f config.Filter) string {
	text := "templates, and connections"
	if f.TemplatesOnly {
		text = "templates only"
	}
	if len(f.Protocols) > 0 && !f.TemplatesOnly {
		text += " of " + join(f.Protocols)
	}
	if len(f.States) > 0 && !f.TemplatesOnly {
		text += " in state " + strings.Join(f.States, ", ")
	}
	if len(f.Services) > 0 {
		text += "; of services " + join(f.Services)
	}
	return text
}

// tracked describes which conntrack entries are sent.
func tracked(c config.Conntrack) string {
	text := "conntrack entries"
	if len(c.Protocols) > 0 {
		text += " of " + join(c.Protocols)
	}
	if len(c.States) > 0 {
		text += " in state " + strings.Join(c.States, ", ")
	}
	if len(c.Networks) > 0 {
		text += "; of networks " + join(c.Networks)
	}
	if len(c.Except) > 0 {
		text += "; except " + join(c.Except)
	}
	if c.WithoutIPVS {
		text += "; without those that IPVS translates"
	}
	return text
}

func join[T fmt.Stringer](list []T) string {
	names := make([]string, len(list))
	for i, one := range list {
		names[i] = one.String()
	}
	return strings.Join(names, ", ")
}
