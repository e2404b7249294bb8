package command

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/ssyncp/ssyncp/internal/admin"
)

// errDiffers says that two tables are not alike. It was said already.
var errDiffers = errors.New("the tables differ")

// explain shows where connections of a client are.
func explain(inv *invocation) error {
	client, err := connect(inv)
	if err != nil {
		return err
	}
	e, err := client.Explain(context.Background(), admin.ExplainRequest{Client: inv.argument, Virtual: inv.virtual, Protocol: inv.protocol})
	if err != nil {
		return err
	}
	if inv.json {
		return json.NewEncoder(inv.stdout).Encode(e)
	}
	_, err = inv.stdout.Write(appendExplanation(nil, &e))
	return err
}

// diff shows how the tables of two directors differ: those of the class that was
// named, or of each one that is carried.
func diff(inv *invocation) error {
	client, err := connect(inv)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	classes := []string{inv.class}
	if !inv.flags.Changed(classFlag) {
		s, err := client.Status(ctx)
		if err != nil {
			return err
		}
		if len(s.Classes) > 0 { // a daemon that is older does not say
			classes = s.Classes
		}
	}
	equal := true
	for k, class := range classes {
		d, err := client.Diff(ctx, admin.DiffRequest{Peer: inv.argument, Class: class})
		if err != nil {
			return err
		}
		if inv.json {
			err = json.NewEncoder(inv.stdout).Encode(d)
		} else {
			if k > 0 {
				fmt.Fprintln(inv.stdout)
			}
			_, err = inv.stdout.Write(appendDifference(nil, &d))
		}
		if err != nil {
			return err
		}
		equal = equal && d.Equal
	}
	if !equal {
		return errDiffers
	}
	return nil
}

// flush drops copies.
func flush(inv *invocation) error {
	client, err := connect(inv)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	f, err := client.FlushCopies(ctx, inv.class)
	if err != nil {
		return err
	}
	if inv.json {
		return json.NewEncoder(inv.stdout).Encode(f)
	}
	_, err = inv.stdout.Write(appendFlushed(nil, &f))
	return err
}
