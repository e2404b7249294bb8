package cluster

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ssyncp/ssyncp/internal/peering"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// errClosed says that objects are not open at the moment.
var errClosed = errors.New("cluster: the objects are not open")

// holding is one class of objects, which is opened again where it fails.
type holding struct {
	open     func() (Objects, error)
	objects  Objects // nil: they are not open
	class    block.Class
	retry    retry
	failure  error // they are to be closed
	paused   error // something else owns them
	services uint64
	known    bool // services were looked at since the director is degraded
}

// usable reports whether they are open.
func (k *holding) usable() bool { return k.objects != nil && k.failure == nil }

// tells reports whether they have something to tell.
func (k *holding) tells() bool { return k.usable() && k.paused == nil }

// holdings are those of all classes: they are peering.Sink and peering.Source.
type holdings struct {
	director *Director
	all      []*holding
}

// Apply is peering.Sink's.
func (h *holdings) Apply(blocks block.Blocks, held time.Duration) error {
	for _, k := range h.all {
		if !k.usable() {
			h.director.counters.Troubles.Add(Unapplied, 1)
			continue
		}
		if err := k.objects.Apply(blocks, held); err != nil {
			return err
		}
	}
	return nil
}

// flush hands to the kernel what was kept back.
func (h *holdings) flush() {
	for _, k := range h.all {
		if !k.usable() {
			continue
		}
		if err := k.objects.Flush(); err != nil {
			k.failure = err
		}
	}
}

// Settle is peering.Sink's.
func (h *holdings) Settle() (missing int) {
	h.flush()
	for _, k := range h.all {
		if k.objects != nil {
			missing += k.objects.Missing()
		}
	}
	return missing
}

// Entries is peering.Source's.
func (h *holdings) Entries() (n int) {
	for _, k := range h.all {
		if k.objects != nil {
			n += k.objects.Entries()
		}
	}
	return n
}

// Walk is peering.Source's: over one class after the other. One that is not open
// does not keep the others from a peer: what there is of it is announced when it
// is open again.
func (h *holdings) Walk(classes block.Classes, owned bool) (peering.Walk, error) {
	kind := All
	if owned {
		kind = Owned
	}
	w := &walk{kind: kind}
	closed := false
	for _, k := range h.all {
		switch {
		case !classes.Has(k.class):
		case k.objects == nil:
			closed = true
		default:
			w.rest = append(w.rest, k.objects)
		}
	}
	if closed && len(w.rest) == 0 {
		return nil, errClosed
	}
	return w, nil
}

// walk goes over several classes.
type walk struct {
	kind Kind
	rest []Objects
	now  peering.Walk
}

// Read is peering.Walk's.
func (w *walk) Read(body []byte, limit int) (read []byte, more bool, err error) {
	if w.now == nil {
		if len(w.rest) == 0 {
			return body, false, nil
		}
		if w.now, err = w.rest[0].Walk(w.kind); err != nil {
			return body, false, err
		}
		w.rest = w.rest[1:]
	}
	body, more, err = w.now.Read(body, limit)
	if err != nil || more {
		return body, more, err
	}
	w.Close()
	return body, len(w.rest) > 0, nil
}

// Close is peering.Walk's.
func (w *walk) Close() {
	if w.now != nil {
		w.now.Close()
		w.now = nil
	}
}

// failing returns the classes that cannot be used, and why.
func (h *holdings) failing() map[block.Class]error {
	var failing map[block.Class]error
	for _, k := range h.all {
		if k.usable() {
			continue
		}
		if failing == nil {
			failing = make(map[block.Class]error)
		}
		failing[k.class] = cmp.Or(k.failure, k.retry.because)
	}
	return failing
}

// openAll opens the objects of every class, or none.
func (h *holdings) openAll(now time.Time) error {
	for _, k := range h.all {
		objects, err := k.open()
		if err != nil {
			h.close()
			return err
		}
		k.opened(now, objects)
	}
	return nil
}

func (k *holding) opened(now time.Time, objects Objects) {
	k.objects, k.class = objects, objects.Class()
	k.retry.succeeded(now)
}

// close closes everything: what is queued from then on is for the next reader.
func (h *holdings) close() {
	for _, k := range h.all {
		h.director.closeObjects(k)
	}
}

// With has the director's goroutine do something with the objects of a class,
// which are its own and open.
func (d *Director) With(ctx context.Context, class block.Class, what func(Objects)) error {
	failed := errClosed
	err := d.do(ctx, func(time.Time) {
		for _, k := range d.holdings.all {
			if k.class == class && k.usable() {
				what(k.objects)
				failed = nil
			}
		}
	})
	if err == nil {
		err = failed
	}
	return err
}

func (d *Director) closeObjects(k *holding) {
	if k.objects == nil {
		return
	}
	if err := k.objects.Close(); err != nil {
		d.log.Debug("closing objects", "class", k.class, "error", err)
	}
	k.objects = nil
}

// tendHoldings closes objects that failed, and opens those whose time has come.
// What was not told and not applied meanwhile is made up for.
func (d *Director) tendHoldings(now time.Time) {
	for _, k := range d.holdings.all {
		if k.failure != nil {
			err := k.failure
			k.failure = nil
			d.closeObjects(k)
			d.counters.Troubles.Add(ObjectsFailed, 1)
			if k.retry.failed(now, err) {
				d.log.Error("the kernel's objects cannot be used, opening them again", "error", err)
			}
			if !slices.ContainsFunc(d.holdings.all, (*holding).usable) {
				d.node.Interrupt(now)
			}
		}
		if k.objects != nil || !k.retry.due(now) {
			continue
		}
		objects, err := k.open()
		if err != nil {
			if k.retry.failed(now, err) {
				d.log.Error("the kernel's objects cannot be opened, trying again", "error", err)
			}
			continue
		}
		k.opened(now, objects)
		d.counters.Counts.Add(Reopened, 1)
		peers := d.node.Restore(now)
		d.node.Announce(now)
		d.log.Info("the kernel's objects are open again: announcing what this director owns, asking for everything that peers have", "peers", peers)
	}
}

// lookForServices asks, while entries lack a service, whether some appeared:
// nobody tells.
func (d *Director) lookForServices(now time.Time) {
	if d.node.State() != block.StateDegraded {
		for _, k := range d.holdings.all {
			k.known = false
		}
		return
	}
	if now.Before(d.looked.Add(servicesEvery)) {
		return
	}
	d.looked = now
	for _, k := range d.holdings.all {
		if k.objects == nil {
			continue
		}
		services, err := k.objects.Services()
		if err != nil {
			if !d.blind {
				d.blind = true
				d.log.Warn("services cannot be looked for: what was refused for lack of one waits for news", "error", err)
			}
			continue
		}
		// The first look has nothing to be compared with: they may have come
		// since the entries were refused.
		if !k.known || services != k.services {
			k.known, k.services = true, services
			d.node.ServicesAppeared(now)
		}
	}
}

const servicesEvery = time.Second
