package transport

// Adverts is a link as version 1 uses it, which does not ask who sent what
// comes.
type Adverts struct {
	*Link
	adverts [][]byte
}

// OpenAdverts opens a link for adverts of up to o.MaxSize bytes.
func OpenAdverts(o Options) (*Adverts, error) {
	l, err := Open(o)
	if err != nil {
		return nil, err
	}
	return &Adverts{Link: l}, nil
}

// Receive waits for adverts, which are valid until the next call.
func (a *Adverts) Receive() ([][]byte, error) {
	datagrams, err := a.Link.Receive()
	a.adverts = a.adverts[:0]
	for _, d := range datagrams {
		a.adverts = append(a.adverts, d.Payload)
	}
	return a.adverts, err
}
