package admin

import (
	"fmt"
	"net"
	"os"
	"sync"

	"github.com/ssyncp/ssyncp/internal/unixsocket"
)

// maxConnections is how many there are at once. More wait in the kernel until
// one ends, which takes no longer than the timeouts let it.
const maxConnections = 16

// listener takes so many connections, and looks at whose they are.
type listener struct {
	*net.UnixListener
	places chan struct{}
	closed chan struct{}
	once   sync.Once
}

func newListener(l *net.UnixListener) *listener {
	return &listener{UnixListener: l, places: make(chan struct{}, maxConnections), closed: make(chan struct{})}
}

// Accept waits for a place, and then for a connection.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case l.places <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	leave := func() { <-l.places }
	conn, err := l.AcceptUnix()
	if err != nil {
		leave()
		return nil, err
	}
	c := &connection{UnixConn: conn, leave: sync.OnceFunc(leave)}
	if peer, err := unixsocket.Credentials(conn); err != nil {
		c.refused = err
	} else {
		c.process, c.refused = int(peer.Pid), permit(peer.Uid)
	}
	return c, nil
}

// Close ends a waiting Accept, and removes the socket.
func (l *listener) Close() (err error) {
	l.once.Do(func() {
		close(l.closed)
		err = l.UnixListener.Close()
	})
	return err
}

// permit is a second lock behind the socket's mode, which somebody may change.
func permit(user uint32) error {
	if own := os.Geteuid(); user != 0 && user != uint32(own) {
		return fmt.Errorf("user %d: %w: be root or user %d", user, ErrUser, own)
	}
	return nil
}

// connection is one client.
type connection struct {
	*net.UnixConn
	process int   // its ID, 0 where it cannot be seen
	refused error // why it may not ask
	leave   func()
}

func (c *connection) Close() error {
	err := c.UnixConn.Close()
	c.leave()
	return err
}
