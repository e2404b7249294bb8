package engine

// Outbox holds adverts between the source that builds them and the link that
// sends them, in buffers that are used again.
type Outbox struct {
	size    int
	adverts [][]byte // finished, in order
	free    [][]byte
}

// NewOutbox returns an outbox for adverts of up to size bytes.
func NewOutbox(size int) *Outbox { return &Outbox{size: size} }

// Buffer returns an empty buffer to build an advert in. It belongs to the
// caller until it is given back by Add.
func (o *Outbox) Buffer() []byte {
	if n := len(o.free); n > 0 {
		buf := o.free[n-1]
		o.free = o.free[:n-1]
		return buf[:0]
	}
	return make([]byte, 0, o.size)
}

// Add queues a finished advert, built in a buffer of this outbox.
func (o *Outbox) Add(advert []byte) { o.adverts = append(o.adverts, advert) }

// Len returns the number of adverts that wait.
func (o *Outbox) Len() int { return len(o.adverts) }

// Next returns up to n of the adverts that wait, the first ones.
func (o *Outbox) Next(n int) [][]byte { return o.adverts[:min(n, len(o.adverts))] }

// Release takes the first n adverts out, and their buffers back.
func (o *Outbox) Release(n int) {
	o.free = append(o.free, o.adverts[:n]...)
	o.adverts = append(o.adverts[:0], o.adverts[n:]...)
}
