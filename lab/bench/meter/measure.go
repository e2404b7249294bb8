package main

import (
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/ssyncp/ssyncp/lab/bench/figure"
	"github.com/ssyncp/ssyncp/lab/image"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

const (
	// warmUp connections fill caches before anything is counted.
	warmUp = 1000
	// settle is idle time after which nobody has anything left to do: the
	// in-kernel master keeps a message that is not full for two seconds.
	settle = 3 * time.Second
	// tail is instructions that follow a load. All contestants get the same,
	// and whoever is behind with the load's news works it off meanwhile: a
	// period of 100 ms is over before its end.
	tail = 150_000_000
)

// measure puts a director under a load.
func measure(l load, c contestant) (m figure.Measurement, err error) {
	err = onDirector(c.module, func(n *network) (err error) {
		if l.firewall {
			if err := n.becomeFirewall(); err != nil {
				return err
			}
		}
		stop, err := c.start(n)
		if stop != nil {
			defer func() { err = errors.Join(err, stop()) }()
		}
		if err != nil {
			return err
		}
		m, err = n.count(l, c)
		return err
	})
	return m, err
}

// onDirector does something with the director of a new network. Its IPVS is
// loaded anew, and ssyncp.ko where it is needed.
func onDirector(module bool, do func(*network) error) (err error) {
	also := func(f func() error) { err = errors.Join(err, f()) }

	n, err := newNetwork()
	if err != nil {
		return err
	}
	defer also(n.close)
	if err := n.loadIPVS(); err != nil {
		return err
	}
	defer also(n.unloadIPVS)
	if module {
		if err := program("/sbin/insmod", image.Module); err != nil {
			return err
		}
		defer also(n.unloadModule)
	}
	return do(n)
}

// count plays a load, and counts.
func (n *network) count(l load, c contestant) (m figure.Measurement, err error) {
	const first = client(warmUp)
	if err := n.play(0, warmUp, batchSize, kind{steps: whole}); err != nil {
		return m, err
	}
	if l.established {
		if err := n.play(first, l.connections, batchSize, kind{steps: opening}); err != nil {
			return m, err
		}
	}
	runtime.GC() // and none until the end: the collector is off
	time.Sleep(settle)
	before, err := n.told(c)
	if err != nil {
		return m, err
	}

	begin, err := instructions()
	if err != nil {
		return m, err
	}
	for range l.repeat {
		if err := n.play(first, l.connections, l.batch, l.kinds...); err != nil {
			return m, err
		}
	}
	spin(tail / 2)
	end, err := instructions()
	if err != nil {
		return m, err
	}

	atEnd, err := n.told(c)
	if err != nil {
		return m, err
	}
	time.Sleep(settle)
	after, err := n.told(c)
	if err != nil {
		return m, err
	}
	if late := after.records - atEnd.records; late != 0 {
		return m, fmt.Errorf("it was behind: %d of %d records were read after the end", late, after.records-before.records)
	}
	steps, apart := l.life()
	return figure.Measurement{
		Load:         l.name,
		Contestant:   c.name,
		Units:        l.units(),
		Connections:  l.connections,
		Apart:        apart,
		Steps:        steps,
		Packets:      l.packets(),
		Instructions: end - begin - tail,
		Records:      after.records - before.records,
		Adverts:      after.adverts - before.adverts,
		AdvertBytes:  after.bytes - before.bytes,
	}, n.check(l)
}

// check fails where the director has not done all that it ought to.
func (n *network) check(l load) error {
	if l.firewall {
		return n.checkFirewall(warmUp + l.connections)
	}
	return n.checkIPVS(warmUp + l.connections)
}

// news is what a contestant has told.
type news struct {
	records, adverts, bytes int64
}

// told fails where news was dropped: a count without it would be too low.
func (n *network) told(c contestant) (t news, err error) {
	if t.adverts, t.bytes, err = n.adverts(); err != nil || !c.module {
		return t, err
	}
	stats, err := n.stats()
	if err != nil {
		return t, err
	}
	if hooked := stats.State&chardev.StateInterposed != 0; hooked != (c.name != figure.Loaded) {
		return t, fmt.Errorf("the packet path has the module in it: %v", hooked)
	}
	for _, dropped := range []chardev.Counter{
		chardev.CounterDroppedNew, chardev.CounterDroppedFull, chardev.CounterDroppedFault,
	} {
		if count := stats.Counters[dropped]; count != 0 {
			return t, fmt.Errorf("the module counts %d %v", count, dropped)
		}
	}
	t.records = int64(stats.Counters[chardev.CounterReadRecords])
	return t, nil
}
