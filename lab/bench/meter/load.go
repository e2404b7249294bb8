package main

import (
	"slices"
	"strings"

	"github.com/ssyncp/ssyncp/lab/bench/figure"
)

// A step is one packet of a connection.
type step struct {
	reply bool // from the server
	flags byte
}

// opening and whole are a connection as a director sees it under NAT.
var (
	opening = []step{
		{false, flagSYN},
		{true, flagSYN | flagACK},
		{false, flagACK},
	}
	whole = append(opening[:len(opening):len(opening)],
		step{false, flagPSH | flagACK},
		step{true, flagPSH | flagACK},
		step{false, flagFIN | flagACK},
		step{true, flagFIN | flagACK})
	request  = []step{{false, flagPSH | flagACK}}
	response = []step{{true, flagPSH | flagACK}}
)

// A load is what the director has to do while instructions are counted.
type load struct {
	name        string
	connections int
	steps       []step
	repeat      int  // the steps, on each connection
	established bool // the connections are, before counting begins

	// batch connections take a step together, and lag batches later the
	// next one: steadily, so that they are in all states at any time.
	batch, lag int

	perPacket bool // figures are for a packet, not for a connection
}

// loads are those whose name has a part, all of them scaled.
func loads(scale float64, part string) []load {
	chosen := []load{
		{
			name: figure.New, connections: 20_000, batch: batchSize,
			steps: opening[:1], repeat: 1,
		},
		{
			name: figure.PacketIn, connections: 4_000, batch: batchSize,
			steps: request, repeat: 50, established: true, perPacket: true,
		},
		{
			name: figure.PacketOut, connections: 4_000, batch: batchSize,
			steps: response, repeat: 50, established: true, perPacket: true,
		},
		{
			name: figure.WholeAtOnce, connections: 30_000, batch: 1,
			steps: whole, repeat: 1,
		},
		{
			name: figure.WholeShort, connections: 30_000, batch: batchSize, lag: 2,
			steps: whole, repeat: 1,
		},
		{
			name: figure.WholeLong, connections: 30_000, batch: batchSize, lag: 20,
			steps: whole, repeat: 1,
		},
	}
	chosen = slices.DeleteFunc(chosen, func(l load) bool { return !strings.Contains(l.name, part) })
	for i := range chosen {
		chosen[i].connections = max(1, int(float64(chosen[i].connections)*scale))
	}
	return chosen
}

func (l load) packets() int { return l.connections * len(l.steps) * l.repeat }

func (l load) units() int {
	if l.perPacket {
		return l.packets()
	}
	return l.connections
}

// apart is how many connections begin between two steps of one of them.
func (l load) apart() int { return l.batch * l.lag }

// play sends steps of count connections.
func (n *network) play(first client, count, batch, lag int, steps []step) error {
	batches := (count + batch - 1) / batch
	for turn := range batches + lag*(len(steps)-1) {
		for i, s := range steps {
			at := turn - i*lag
			if at < 0 || at >= batches {
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
	return nil
}

func (n *network) step(c client, s step) error {
	from := endpoint{c.address(), c.port()}
	if s.reply {
		return n.servers.put(server, from, s.flags)
	}
	return n.clients.put(from, virtual, s.flags)
}
