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

	// width is how many connections go through the steps side by side: the
	// more, the longer each of them lasts.
	width int

	perPacket bool // figures are for a packet, not for a connection
}

// loads are those whose name has a part, all of them scaled.
func loads(scale float64, part string) []load {
	chosen := []load{
		{
			name: figure.New, connections: 20_000, width: 20_000,
			steps: opening[:1], repeat: 1,
		},
		{
			name: figure.PacketIn, connections: 4_000, width: 4_000,
			steps: request, repeat: 50, established: true, perPacket: true,
		},
		{
			name: figure.PacketOut, connections: 4_000, width: 4_000,
			steps: response, repeat: 50, established: true, perPacket: true,
		},
		{
			name: figure.WholeAtOnce, connections: 30_000, width: 1,
			steps: whole, repeat: 1,
		},
		{
			name: figure.WholeShort, connections: 30_000, width: 3_000,
			steps: whole, repeat: 1,
		},
		{
			name: figure.WholeLong, connections: 30_000, width: 30_000,
			steps: whole, repeat: 1,
		},
	}
	chosen = slices.DeleteFunc(chosen, func(l load) bool { return !strings.Contains(l.name, part) })
	for i := range chosen {
		l := &chosen[i]
		l.connections = max(1, int(float64(l.connections)*scale))
		l.width = min(l.width, l.connections)
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

// play sends the steps of count connections, width of them side by side.
func (n *network) play(first client, count, width int, steps []step) error {
	for begin := 0; begin < count; begin += width {
		end := min(begin+width, count)
		for _, s := range steps {
			for i := begin; i < end; i++ {
				if err := n.step(first+client(i), s); err != nil {
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
