package command

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"iter"

	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/conntrackclass"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// shown is what dump shows, in either form.
type shown interface {
	json.Marshaler
	AppendTo([]byte) []byte
}

// dump shows a table, a line each: as text, or as one JSON object.
func dump(inv *invocation) error {
	if inv.class == classConntrack {
		return show(inv, conntrackclass.All(context.Background(), ""))
	}
	device, err := open(inv)
	if err != nil {
		return err
	}
	defer device.Close()
	if err := device.Attach(chardev.AttachOptions{Mode: chardev.ModeSnapshot}); err != nil {
		return err
	}
	return show(inv, chardev.Snapshot(context.Background(), device, chardev.NewBatch(chardev.DefaultBatchSize)))
}

// show writes what comes.
func show[T shown](inv *invocation, all iter.Seq2[T, error]) error {
	out := bufio.NewWriter(inv.stdout)
	var line []byte
	for one, err := range all {
		if err != nil {
			out.Flush()
			return err
		}
		if line = line[:0]; inv.json {
			object, err := one.MarshalJSON()
			if err != nil {
				return err
			}
			line = append(line, object...)
		} else {
			line = one.AppendTo(line)
		}
		if _, err := out.Write(append(line, '\n')); err != nil {
			return err
		}
	}
	return out.Flush()
}

// stats shows the module's counters.
func stats(inv *invocation) error {
	device, err := open(inv)
	if err != nil {
		return err
	}
	defer device.Close()
	var s chardev.Stats
	if err := device.Stats(&s); err != nil {
		return err
	}
	if inv.json {
		values := map[string]any{
			"abi_version": s.ABIVersion,
			"state":       s.State.String(),
			"missing":     s.Missing.String(),
			"queue_len":   s.QueueLen,
			"conn_count":  s.ConnCount,
		}
		for counter, value := range s.All() {
			values[counter.String()] = value
		}
		return json.NewEncoder(inv.stdout).Encode(values)
	}
	out := bufio.NewWriter(inv.stdout)
	fmt.Fprintf(out, "%-24s%d\n%-24s%v\n%-24s%v\n%-24s%d\n%-24s%d\n",
		"abi_version", s.ABIVersion, "state", s.State, "missing", s.Missing,
		"queue_len", s.QueueLen, "conn_count", s.ConnCount)
	for counter, value := range s.All() {
		fmt.Fprintf(out, "%-24v%d\n", counter, value)
	}
	return out.Flush()
}

// open opens the configured device.
func open(inv *invocation) (*chardev.Device, error) {
	d, err := config.LoadDevice(inv.flags)
	if err != nil {
		return nil, err
	}
	return chardev.Open(d.Path)
}
