package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/config"
)

// ErrNoSocket says that there is no way to the daemon.
var ErrNoSocket = errors.New(`admin.socket is "", so that ssyncpd has no socket: set it and restart ssyncpd, or name one with --admin-socket`)

// connect returns a client of the running daemon.
func connect(inv *invocation) (*admin.Client, error) {
	a, err := config.LoadAdmin(inv.flags)
	if err != nil {
		return nil, err
	}
	if a.Socket == "" {
		return nil, ErrNoSocket
	}
	return admin.NewClient(a.Socket), nil
}

// status shows how the running daemon is.
func status(inv *invocation) error {
	client, err := connect(inv)
	if err != nil {
		return err
	}
	s, err := client.Status(context.Background())
	if err != nil {
		return err
	}
	if inv.json {
		return json.NewEncoder(inv.stdout).Encode(s)
	}
	_, err = inv.stdout.Write(appendStatus(nil, &s))
	return err
}

// role tells the running daemon what a VRRP instance has become. That it does not
// run is no failure: it is somebody's notify script that asks, whose transition
// is over, and there is nothing that the role would have changed. A daemon that
// starts is made whole whatever the roles are.
func role(inv *invocation) error {
	client, err := connect(inv)
	if err != nil {
		return err
	}
	err = client.Role(context.Background(), inv.instance, inv.argument)
	for _, absent := range []error{admin.ErrAbsent, admin.ErrDead, admin.ErrTimeout} {
		if errors.Is(err, absent) {
			fmt.Fprintf(inv.stderr, "ssyncpd: the role is not told: %v\n", err)
			return nil
		}
	}
	return err
}

// resync has the running daemon take a snapshot of what peers own.
func resync(inv *invocation) error {
	client, err := connect(inv)
	if err != nil {
		return err
	}
	done, err := client.Resync(context.Background(), inv.argument)
	if err != nil {
		return err
	}
	whom, what := plural(done.Asked, "peer"), "it owns"
	if done.Peer != nil {
		whom += ", " + done.Peer.String() + ","
	}
	if done.Asked > 1 {
		what = "they own"
	}
	fmt.Fprintf(inv.stdout, "%s will be asked for what %s; `ssyncpd status` shows how it goes on\n", whom, what)
	return nil
}
