package cluster

import "github.com/ssyncp/ssyncp/pkg/wire/block"

// Outbox holds bodies between the objects that build them and the node that
// sends them, in buffers that are used again.
type Outbox struct {
	room   int
	bodies [][]byte // finished, in order
	free   [][]byte
}

// NewOutbox returns an outbox for bodies of up to room bytes.
func NewOutbox(room int) *Outbox { return &Outbox{room: room} }

// Room returns how long a body may become.
func (o *Outbox) Room() int { return o.room }

// Body begins a body: a buffer with room for the header, which the node fills
// in, at its beginning. It belongs to the caller until it is given back by Add
// or Return.
func (o *Outbox) Body() []byte {
	if n := len(o.free); n > 0 {
		body := o.free[n-1]
		o.free = o.free[:n-1]
		return body[:block.HeaderSize]
	}
	return make([]byte, block.HeaderSize, o.room)
}

// Add queues a finished body, built in a buffer of this outbox.
func (o *Outbox) Add(body []byte) { o.bodies = append(o.bodies, body) }

// Return takes back a buffer that there was nothing to put into.
func (o *Outbox) Return(body []byte) { o.free = append(o.free, body) }

// Len returns the number of bodies that wait.
func (o *Outbox) Len() int { return len(o.bodies) }

// Next returns the first n bodies.
func (o *Outbox) Next(n int) [][]byte { return o.bodies[:n] }

// Release takes the first n bodies out, and their buffers back.
func (o *Outbox) Release(n int) {
	o.free = append(o.free, o.bodies[:n]...)
	o.bodies = append(o.bodies[:0], o.bodies[n:]...)
}
