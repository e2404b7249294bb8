package guest

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/lab/netns"
	"github.com/ssyncp/ssyncp/lab/traffic"
)

// keepalived is stopped in order on the master, while clients say something all
// the time. Its addresses go, its services stay (contrib/keepalived/keepalived.default): no
// client is answered by the director itself, and the director goes on to have
// what its peer has.
func TestKeepalivedIsStopped(t *testing.T) {
	const some = 30
	p := newPair(t)
	p.boot(t)
	s := &streams{pair: p}
	defer func() { traffic.CloseAll(s.open) }()
	s.more(t, some, p.virtual)
	resets := watchResets(t, p.Client, p.virtual.Addr().String())
	defer func() {
		if list := resets(); list != "" {
			t.Errorf("clients were sent resets:\n%s", list)
		}
	}()

	quiet := s.talk(t)
	p.keepalived[0].Stop(t)
	p.keepalived[1].Becomes(t, "MASTER")
	quiet()
	s.goOn(t, "keepalived of lb1 is stopped")
	s.more(t, some, p.virtual)
	eventually(t, 10*time.Second, func() bool {
		known := p.Directors[0].ByClient(t)
		for _, stream := range s.open {
			if known[stream.Local()].State != "ESTABLISHED" {
				return false
			}
		}
		return true
	}, "lb1 lacks connections, as its services went")

	quiet = s.talk(t)
	p.startKeepalived(t, 0)
	p.master(t, 0)
	quiet()
	s.goOn(t, "through lb1 again")
	p.neverFaulty(t)
}

// talk makes exchanges on all streams, over and over, until what it returns is
// called, which returns when all have ended.
func (s *streams) talk(t *testing.T) (quiet func()) {
	const often = 5 * time.Millisecond
	stop := make(chan struct{})
	var all sync.WaitGroup
	for _, stream := range s.open {
		all.Go(func() {
			for {
				select {
				case <-stop:
					return
				case <-time.After(often):
				}
				if err := stream.ExchangeWithin(pairPatience); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	return sync.OnceFunc(func() {
		close(stop)
		all.Wait()
	})
}

// watchResets begins to look for what resets streams from an address. What it
// returns ends that, and returns what was seen.
func watchResets(t *testing.T, n *netns.Namespace, from string) (seen func() string) {
	t.Helper()
	const ready = "/tmp/resets"
	done := make(chan string)
	go func() {
		script := fmt.Sprintf("tcpdump -Z root -n -e -l --immediate-mode -i any 'src %s and tcp[tcpflags] & tcp-rst != 0' 2>&1 & echo $! >%s; wait", from, ready)
		out, err := n.Run("/bin/busybox", "sh", "-c", script)
		if err != nil {
			t.Error(err)
		}
		done <- out
	}()
	time.Sleep(2 * time.Second) // it listens
	return func() string {
		if _, err := n.Run("/bin/busybox", "sh", "-c", "kill $(cat "+ready+")"); err != nil {
			t.Error(err)
		}
		var list []string
		out := <-done
		for line := range strings.Lines(out) {
			if strings.Contains(line, "Flags [R") {
				list = append(list, line)
			}
		}
		if !strings.Contains(out, "listening on") {
			t.Errorf("nobody looked for resets: %s", out)
		}
		return strings.Join(list, "")
	}
}
