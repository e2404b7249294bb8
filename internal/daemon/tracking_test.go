package daemon_test

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/internal/ctnetlink"
	"github.com/ssyncp/ssyncp/internal/netnstest"
	"github.com/ssyncp/ssyncp/pkg/conntrack"
)

// tracking is the connection tracking of a namespace, to somebody beside the
// daemon.
type tracking struct {
	t      testing.TB
	socket *ctnetlink.Socket
}

func newTracking(t testing.TB, ns *netnstest.Namespace) *tracking {
	t.Helper()
	k := &tracking{t: t}
	var err error
	ns.Do(t, func() { k.socket, err = ctnetlink.Open() })
	if errors.Is(err, ctnetlink.ErrNotSupported) {
		t.Skip(err)
	} else if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { k.socket.Close() })
	return k
}

// ask sends requests, and returns what is answered.
func (k *tracking) ask(requests []byte) (answers []ctnetlink.Message) {
	k.t.Helper()
	if err := k.socket.Send(requests); err != nil {
		k.t.Fatal(err)
	}
	var parser ctnetlink.Parser
	for {
		p, err := k.socket.Receive()
		if errors.Is(err, ctnetlink.ErrNothing) {
			return answers
		}
		if err != nil {
			k.t.Fatal(err)
		}
		var m ctnetlink.Message
		for parser.Load(p); parser.Next(&m); {
			answers = append(answers, m)
		}
	}
}

// create makes entries of their timeouts, in a few calls.
func (k *tracking) create(list ...conntrack.Entry) {
	k.t.Helper()
	for len(list) > 0 {
		n := min(len(list), ctnetlink.BatchMax)
		var batch []byte
		for i := range list[:n] {
			batch = ctnetlink.AppendCreate(batch, uint32(i), &list[i], list[i].Timeout)
		}
		for _, m := range k.ask(batch) {
			k.t.Fatalf("%v cannot be made: %v", &list[m.Request], m.Errno)
		}
		list = list[n:]
	}
}

// remove takes an entry away, if it is there.
func (k *tracking) remove(e *conntrack.Entry) {
	k.t.Helper()
	for _, m := range k.ask(ctnetlink.AppendDelete(nil, 1, e)) {
		if m.Errno != 0 && m.Errno != unix.ENOENT {
			k.t.Fatalf("%v cannot be deleted: %v", e, m.Errno)
		}
	}
}

// table returns all entries.
func (k *tracking) table() (list []ctnetlink.Message) {
	k.t.Helper()
	if err := k.socket.Dump(); err != nil {
		k.t.Fatal(err)
	}
	var parser ctnetlink.Parser
	for {
		p, err := k.socket.Receive()
		if err != nil {
			k.t.Fatal(err)
		}
		var m ctnetlink.Message
		for parser.Load(p); parser.Next(&m); {
			switch m.Kind {
			case ctnetlink.Changed:
				list = append(list, m)
			case ctnetlink.Done, ctnetlink.Failed:
				if m.Errno != 0 {
					k.t.Fatal(m.Errno)
				}
				return list
			}
		}
	}
}
