package command

import (
	"context"
	"encoding/json"
	"errors"
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

// diff shows how the tables of two directors differ.
func diff(inv *invocation) error {
	client, err := connect(inv)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	d, err := client.Diff(ctx, inv.argument)
	if err != nil {
		return err
	}
	if inv.json {
		err = json.NewEncoder(inv.stdout).Encode(d)
	} else {
		_, err = inv.stdout.Write(appendDifference(nil, &d))
	}
	if err == nil && !d.Equal {
		err = errDiffers
	}
	return err
}

// flush drops copies.
func flush(inv *invocation) error {
	client, err := connect(inv)
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	f, err := client.FlushCopies(ctx)
	if err != nil {
		return err
	}
	if inv.json {
		return json.NewEncoder(inv.stdout).Encode(f)
	}
	_, err = inv.stdout.Write(appendFlushed(nil, &f))
	return err
}
