package main

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"

	"github.com/ssyncp/ssyncp/lab/bench/figure"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
	"github.com/ssyncp/ssyncp/pkg/wire"
)

// A snapshotLoad is a table that is read whole.
type snapshotLoad struct {
	name        string
	connections int
}

// snapshots are not scaled: their size is what they are about.
func snapshots(only *regexp.Regexp) []snapshotLoad {
	return slices.DeleteFunc([]snapshotLoad{
		{figure.SnapshotSmall, 100_000},
		{figure.SnapshotLarge, 1_000_000},
	}, func(s snapshotLoad) bool { return !only.MatchString(s.name) })
}

// takeSnapshot fills a table and counts what it takes to read it.
func takeSnapshot(s snapshotLoad, by figure.Contestant) (m figure.Measurement, err error) {
	err = onDirector(true, func(n *network) (err error) {
		m, err = n.takeSnapshot(s, by)
		return err
	})
	return m, err
}

func (n *network) takeSnapshot(s snapshotLoad, by figure.Contestant) (m figure.Measurement, err error) {
	also := func(f func() error) { err = errors.Join(err, f()) }
	if err := n.fill(s.connections); err != nil {
		return m, err
	}

	device, err := n.attach(chardev.AttachOptions{Mode: chardev.ModeSnapshot})
	if err != nil {
		return m, err
	}
	defer also(device.Close)
	batch := chardev.NewBatch(chardev.DefaultBatchSize)
	advert := make([]byte, wire.MaxSize)
	records := 0
	began, err := instructions()
	if err != nil {
		return m, err
	}
	for {
		if _, err := device.ReadBatch(batch); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return m, err
		}
		records += batch.Len() / chardev.MinRecordSize
		if by == figure.Encode {
			if err := encodeBatch(batch, advert); err != nil {
				return m, err
			}
		}
	}
	end, err := instructions()
	if err != nil {
		return m, err
	}
	if records != s.connections {
		return m, fmt.Errorf("read %d connections of %d", records, s.connections)
	}
	return figure.Measurement{
		Load: s.name, Contestant: by, Units: records, Connections: records, Records: int64(records), Steps: 1,
		Instructions: end - began,
	}, nil
}

// fill gives the director that many connections of peers.
func (n *network) fill(connections int) error {
	device, err := n.attach(chardev.AttachOptions{Mode: chardev.ModeInject})
	if err != nil {
		return err
	}
	records := make([]byte, 0, chardev.WriteMax)
	for c := range connections {
		conn := client(c).established()
		if records, err = chardev.AppendRecord(records, &conn); err != nil {
			break
		}
		if cap(records)-len(records) >= chardev.MinRecordSize && c < connections-1 {
			continue
		}
		if _, err = device.Write(records); err != nil {
			break
		}
		records = records[:0]
	}
	return errors.Join(err, device.Close())
}

// encodeBatch does what ssyncpd does with a batch, but for sending.
func encodeBatch(batch *chardev.Batch, advert []byte) error {
	var e wire.Encoder
	if err := e.Reset(advert, syncID); err != nil {
		return err
	}
	var c ipvs.Plain
	for batch.NextPlain(&c) {
		if err := e.AppendPlain(&c); err != nil {
			return err
		}
		if e.Full() {
			e.Finish()
			if err := e.Reset(advert, syncID); err != nil {
				return err
			}
		}
	}
	return batch.Err()
}
