package daemon

import (
	"context"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/counters"
	"github.com/ssyncp/ssyncp/internal/vrrp"
	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// director is asked from outside: *cluster.Director.
type director interface {
	admin.Director
	vrrp.Director
}

// speaker is a version of the protocol that runs.
type speaker interface {
	// run runs until ctx is done. It fails where it cannot begin.
	run(ctx context.Context) error
	// prepare reads what a new configuration has for a running speaker, and
	// returns what takes it over. It fails where that cannot be used; nothing
	// changed then.
	prepare(cfg config.Config) (take func(), err error)
	// alive says how it is, in a line. It is the answer of the goroutine that
	// does the work, which has the device and a link then: until it does, and
	// when it hangs, alive waits for it or for ctx.
	alive(ctx context.Context) (status string, err error)
	// counters returns all groups, and those that ought to stay where they
	// are.
	counters() (all, troubles []counters.Group)
	// traffic counts what goes over the links.
	traffic() admin.Traffic
	// notCarried says of classes that ought to be carried why they are not.
	notCarried() map[block.Class]error
	// director is what people and VRRP may ask; nil where there is no such
	// thing.
	director() director
	// connections are what people may ask for; nil where nobody can.
	connections() admin.Connections
}
