package main

import (
	"regexp"
	"slices"

	"github.com/ssyncp/ssyncp/lab/bench/figure"
)

// A step is one packet of a connection.
type step struct {
	reply    bool // from the server
	flags    byte
	datagram bool // UDP
}

// opening and whole are a connection as a director sees it under NAT.
var (
	opening = []step{
		{flags: flagSYN},
		{reply: true, flags: flagSYN | flagACK},
		{flags: flagACK},
	}
	whole = append(opening[:len(opening):len(opening)],
		step{flags: flagPSH | flagACK},
		step{reply: true, flags: flagPSH | flagACK},
		step{flags: flagFIN | flagACK},
		step{reply: true, flags: flagFIN | flagACK})
	request  = []step{{flags: flagPSH | flagACK}}
	response = []step{{reply: true, flags: flagPSH | flagACK}}
)

// A kind of connection takes its steps lag batches apart: steadily, so that
// some are in each state at any time.
type kind struct {
	steps []step
	lag   int
}

var (
	flood     = kind{steps: opening[:1]}
	short     = kind{steps: whole, lag: 2}
	long      = kind{steps: whole, lag: 20}
	datagrams = kind{steps: []step{{datagram: true}, {datagram: true, reply: true}}, lag: 1}
)

// A load is what the director has to do while instructions are counted.
type load struct {
	name        string
	connections int
	batch       int    // connections that take a step together
	kinds       []kind // of connections, batch by batch in turn
	repeat      int    // the steps, on each connection
	established bool   // the connections are, before counting begins
	perPacket   bool   // figures are for a packet, not for a connection
	firewall    bool   // the director is one, and IPVS has no services
}

// loads are those whose name matches, all of them scaled.
func loads(scale float64, only *regexp.Regexp) []load {
	chosen := []load{
		{name: figure.Flood, connections: 20_000, batch: batchSize, kinds: []kind{flood}, repeat: 1},
		{
			name: figure.PacketIn, connections: 4_000, batch: batchSize, kinds: []kind{{steps: request}},
			repeat: 50, established: true, perPacket: true,
		},
		{
			name: figure.PacketOut, connections: 4_000, batch: batchSize, kinds: []kind{{steps: response}},
			repeat: 50, established: true, perPacket: true,
		},
		{name: figure.WholeAtOnce, connections: 30_000, batch: 1, kinds: []kind{{steps: whole}}, repeat: 1},
		{name: figure.WholeShort, connections: 30_000, batch: batchSize, kinds: []kind{short}, repeat: 1},
		{name: figure.WholeLong, connections: 30_000, batch: batchSize, kinds: []kind{long}, repeat: 1},
		{name: figure.Datagrams, connections: 20_000, batch: batchSize, kinds: []kind{datagrams}, repeat: 1},
		{
			name: figure.Mixed, connections: 30_000, batch: batchSize,
			kinds: []kind{short, datagrams, short, flood, long}, repeat: 1,
		},
		{name: figure.FirewallAtOnce, connections: 30_000, batch: 1, kinds: []kind{{steps: whole}}, repeat: 1, firewall: true},
		{name: figure.FirewallShort, connections: 30_000, batch: batchSize, kinds: []kind{short}, repeat: 1, firewall: true},
		{name: figure.FirewallLong, connections: 30_000, batch: batchSize, kinds: []kind{long}, repeat: 1, firewall: true},
	}
	chosen = slices.DeleteFunc(chosen, func(l load) bool { return !only.MatchString(l.name) })
	for i := range chosen {
		chosen[i].connections = scaled(chosen[i].connections, scale)
	}
	return chosen
}

func scaled(n int, scale float64) int { return max(1, int(float64(n)*scale)) }

// packets is how many the load has, of both directions.
func (l load) packets() (n int) {
	for batch := 0; batch*l.batch < l.connections; batch++ {
		size := min(l.batch, l.connections-batch*l.batch)
		n += size * len(l.kinds[batch%len(l.kinds)].steps)
	}
	return n * l.repeat
}

func (l load) units() int {
	if l.perPacket {
		return l.packets()
	}
	return l.connections
}

// life says, of connections that are of one kind, how many steps they have and
// how many others begin between two of these.
func (l load) life() (steps, apart int) {
	if len(l.kinds) > 1 {
		return 1, 0
	}
	return len(l.kinds[0].steps), l.batch * l.kinds[0].lag
}

// play sends the steps of count connections.
func (n *network) play(first client, count, batch int, kinds ...kind) error {
	batches := (count + batch - 1) / batch
	turns := batches
	for _, k := range kinds {
		turns = max(turns, batches+k.lag*(len(k.steps)-1))
	}
	for turn := range turns {
		for which, k := range kinds {
			for i, s := range k.steps {
				at := turn - i*k.lag
				if at < 0 || at >= batches || at%len(kinds) != which {
					continue
				}
				for c := at * batch; c < min((at+1)*batch, count); c++ {
					if err := n.step(first+client(c), s); err != nil {
						return err
					}
				}
				if err := n.flush(); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (n *network) step(c client, s step) error {
	from := endpoint{c.address(), c.port()}
	if s.reply {
		return n.servers.put(server, from, s)
	}
	return n.clients.put(from, virtual, s)
}
