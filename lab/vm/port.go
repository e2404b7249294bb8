package vm

import (
	"bufio"
	"encoding/json"
	"net"
	"sync"

	"github.com/ssyncp/ssyncp/lab/control"
)

// A port is the host's end of the guest's control port.
type port struct {
	conn  net.Conn
	ready chan struct{} // closed when the guest has booted
	gone  chan struct{} // closed when there is no guest any more

	sending sync.Mutex

	mu      sync.Mutex
	last    int64
	waiting map[int64]waiter
}

// A waiter takes the replies to one command until it is done with them.
type waiter struct {
	replies chan control.Reply
	done    chan struct{}
}

func newPort(conn net.Conn) *port {
	p := &port{
		conn:    conn,
		ready:   make(chan struct{}),
		gone:    make(chan struct{}),
		waiting: make(map[int64]waiter),
	}
	go p.receive()
	return p
}

func (p *port) receive() {
	defer close(p.gone)
	replies := json.NewDecoder(bufio.NewReaderSize(p.conn, 1<<16))
	for {
		var r control.Reply
		if err := replies.Decode(&r); err != nil {
			return // closed, with QEMU or by us
		}
		if r.Ready {
			close(p.ready)
			continue
		}
		p.mu.Lock()
		to, waits := p.waiting[r.ID]
		p.mu.Unlock()
		if !waits {
			continue // given up
		}
		select {
		case to.replies <- r:
		case <-to.done:
		}
	}
}

// begin returns an ID for a command and where its replies will come.
func (p *port) begin() (int64, <-chan control.Reply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.last++
	w := waiter{make(chan control.Reply), make(chan struct{})}
	p.waiting[p.last] = w
	return p.last, w.replies
}

// end forgets a command.
func (p *port) end(id int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	close(p.waiting[id].done)
	delete(p.waiting, id)
}

func (p *port) send(r control.Request) error {
	p.sending.Lock()
	defer p.sending.Unlock()
	return json.NewEncoder(p.conn).Encode(r)
}
