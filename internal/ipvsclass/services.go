package ipvsclass

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// ServiceTable is where the kernel shows the virtual services of the network
// namespace of the calling thread, with their real servers.
const ServiceTable = "/proc/thread-self/net/ip_vs"

// ErrServiceTable says that a file is no table of services.
var ErrServiceTable = errors.New("not the table of virtual services of IPVS")

// serviceTable reads it.
type serviceTable struct {
	path  string
	lines *bufio.Reader
}

// Services is cluster.Objects'. What changes all the time is left out: the
// number of connections, and weights.
func (o *Objects) Services() (uint64, error) {
	n, err := o.services.fingerprint()
	if err != nil {
		return 0, fmt.Errorf("ipvsclass: services: %w", err)
	}
	return n, nil
}

// title is what the table begins with.
var title = []byte("IP Virtual Server")

// fingerprint returns a number made of all services and real servers.
func (t *serviceTable) fingerprint() (uint64, error) {
	file, err := os.Open(t.path)
	if err != nil {
		return 0, err
	}
	defer file.Close()
	if t.lines == nil {
		t.lines = bufio.NewReaderSize(nil, 32<<10)
	}
	t.lines.Reset(file)
	hash := fnv.New64a()
	for first := true; ; first = false {
		line, err := t.lines.ReadSlice('\n')
		switch {
		case errors.Is(err, io.EOF) && !first:
			return hash.Sum64(), nil
		case err != nil && !errors.Is(err, io.EOF):
			return 0, fmt.Errorf("%s: %w", t.path, err)
		case first && !bytes.HasPrefix(line, title):
			return 0, fmt.Errorf("%s: %w", t.path, ErrServiceTable)
		}
		hash.Write(name(line))
	}
}

// name returns the first two words of a line. Of a service, these are its
// protocol and address, or FWM and its mark; of a real server, an arrow and
// its address.
func name(line []byte) []byte {
	line = bytes.TrimLeft(line, " ")
	blanks := false
	words := 0
	for i, c := range line {
		if blank := c == ' ' || c == '\n'; blank != blanks {
			if blanks = blank; blank {
				if words++; words == 2 {
					return line[:i+1]
				}
			}
		}
	}
	return line
}
