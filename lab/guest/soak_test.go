package guest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/admin"
	"github.com/ssyncp/ssyncp/lab/director"
	"github.com/ssyncp/ssyncp/lab/topology"
)

// What happens to directors within months, in an hour: reloads, restarts,
// failovers, links that flap. No stream of two periods or more is lost by it, and
// neither the daemons nor the module hold more memory for it. `make soak` says
// how long.
func TestSoak(t *testing.T) {
	text := os.Getenv("SOAK")
	if text == "" {
		t.Skip("SOAK says for how long; without it, not at all")
	}
	limit, err := time.ParseDuration(text)
	if err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	if text := os.Getenv("SOAK_SEED"); text != "" {
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("seed %d", seed)
	newSoak(t, seed).run(t, limit)
}

// A soak is a pair with keepalived, and a third director beside it whose daemon
// runs from the beginning to the end.
type soak struct {
	*pair
	random  *rand.Rand // what happens, where and for how long
	began   time.Time
	crowd   *population
	unrest  *unrest
	keys    keyFiles
	started [soakDirectors]time.Time // the daemons
	tallies [soakDirectors]tally
	drops   map[string]uint64 // since the last sample
	samples []sample
}

const (
	soakDirectors = 3
	third         = 2 // the index of the one without keepalived

	soakStreams  = 60               // that go on from the beginning to the end
	soakMore     = 1                // more of them, each time that all is well again
	soakMost     = 100              // and no more than that
	soakArrivals = 6                // others a second
	soakEvery    = 30 * time.Second // a sample
	soakSlow     = 10 * time.Second // it is said what is not well yet
	soakWithin   = 3 * time.Minute  // all is well again
	soakCalm     = 4 * time.Second  // at the most, until something else happens
	soakLong     = 30 * time.Minute // a soak that has time to warm up
	soakWarm     = 5 * time.Minute  // which a daemon then has when it is that old,
	soakYoung    = 1 * time.Minute  // or that, where there is not much time
	soakHeard    = 10 * time.Second // ago, of a peer that is there
	soakTold     = 5 * time.Second  // what a busy guest takes to tell of a stream
	soakAnswer   = 40 * time.Second // an exchange, while directors change
	soakPause    = 200 * time.Millisecond
)

func newSoak(t *testing.T, seed uint64) *soak {
	s := &soak{
		pair:   newPairAmong(t, soakDirectors),
		random: rand.New(rand.NewPCG(seed, 0)),
		unrest: new(unrest),
		keys:   keyFiles{seals: director.KeyFile},
		drops:  make(map[string]uint64),
	}
	s.Directors[third].AddService(t, director.Service{
		Method: director.NAT, Virtual: s.virtual, Servers: s.ServersAt(topology.IPv4, s.virtual.Port()),
	})
	for i := range s.Directors {
		if i != third {
			s.startKeepalived(t, i)
		}
		s.startDaemon(t, i)
	}
	return s
}

// config is that of a director's daemon: what differs is what reloads change.
func (s *soak) config(i int) director.Config {
	return director.Config{
		MaxPPS: 5000 + 1000*s.random.IntN(6),
		Extra:  s.keys.text() + fmt.Sprintf("[vrrp]\nfifo = %q\n", s.Directors[i].FIFO()),
	}
}

func (s *soak) startDaemon(t *testing.T, i int) {
	t.Helper()
	s.started[i] = time.Now()
	s.daemons[i] = s.Directors[i].StartDaemon(t, s.config(i))
}

func (s *soak) startKeepalived(t *testing.T, i int) {
	t.Helper()
	s.pair.startKeepalived(t, i)
	go s.unrest.follow(s.keepalived[i])
}

// run lets one thing after the other happen, each as often as the others, until
// the time is over and each has happened. In the second half ssyncpd is not
// restarted any more: daemons have to grow old for their memory to be judged.
func (s *soak) run(t *testing.T, limit time.Duration) {
	s.settle(t, "the start")
	s.crowd = settleDown(s.Client, s.virtual, s.random.Uint64(), func(client netip.AddrPort) string { return s.witness(t, client) })
	defer s.crowd.close()
	quit := make(chan struct{})
	defer close(quit)
	go s.unrest.pace(quit)
	s.crowd.stay(t, soakStreams)
	s.settle(t, "the first streams")

	s.began = time.Now()
	s.sample(t)
	var round []int
	count := make([]int, len(happenings))
	for half := time.Duration(0); half == 0 || time.Since(s.began) < half+limit/2; {
		if half == 0 && time.Since(s.began) > limit/2 && slices.Min(count) > 0 {
			half = time.Since(s.began)
			t.Logf("%v: ssyncpd is not restarted any more", half.Round(time.Second))
		}
		if len(round) == 0 {
			round = s.random.Perm(len(happenings))
		}
		next := happenings[round[0]]
		if half == 0 || !next.anew {
			count[round[0]]++
			time.Sleep(time.Duration(s.random.Int64N(int64(soakCalm))))
			s.happen(t, next)
		}
		round = round[1:]
		if time.Since(s.began)-s.samples[len(s.samples)-1].at >= soakEvery {
			s.sample(t)
		}
	}
	s.sample(t)

	s.crowd.close()
	s.crowd.account(t, s.unrest)
	s.report(t)
	for i, h := range happenings {
		t.Logf("%4d times: %s", count[i], h.name)
	}
	warm, more := soakYoung, residentYoung
	if limit >= soakLong {
		warm, more = soakWarm, residentMore
	}
	s.judge(t, warm, more)
}

// happen lets something happen, and ends when all is well again.
func (s *soak) happen(t *testing.T, h happening) {
	t.Helper()
	began := time.Now()
	what := h.of(s, t)
	happened := time.Since(began)
	s.settle(t, what)
	t.Logf("%v: %s: %.1f s, well again %.1f s later", time.Since(s.began).Round(time.Second), what,
		happened.Seconds(), (time.Since(began) - happened).Seconds())
	s.crowd.stay(t, min(soakMore, soakMost-s.crowd.residents()))
	if t.Failed() {
		t.Fatalf("behind this: %s", what)
	}
}

// settle waits until keepalived has the first director for its master, all
// daemons have what the others have, and all directors have all streams.
func (s *soak) settle(t *testing.T, after string) {
	t.Helper()
	because, said := "", time.Now()
	for began := said; time.Since(began) < soakWithin; time.Sleep(soakPause) {
		var lacking netip.AddrPort
		if because, lacking = s.unsettled(t); because == "" {
			err := s.count(t)
			if err == nil {
				return
			}
			because = err.Error()
		}
		if time.Since(said) > soakSlow {
			said = time.Now()
			t.Logf("%s: not well after %v: %s", after, time.Since(began).Round(time.Second), because)
			if lacking.IsValid() {
				t.Log(s.daemons[third].Explain(lacking))
			}
		}
	}
	t.Fatalf("%s: after %v: %s", after, soakWithin, because)
}

// unsettled returns what is not well yet, and a stream that a director lacks where it
// is that.
func (s *soak) unsettled(t *testing.T) (because string, lacking netip.AddrPort) {
	for i, want := range []string{"MASTER", "BACKUP"} {
		if state := s.keepalived[i].State(); state != want {
			return fmt.Sprintf("%s is %s, and should be %s", s.Directors[i].Name, state, want), lacking
		}
	}
	for i, d := range s.daemons {
		status, err := s.status(t, i)
		if err != nil {
			return err.Error(), lacking
		}
		if because := unready(status, len(s.daemons)-1); because != "" {
			return fmt.Sprintf("%s: %s: %s", s.Directors[i].Name, d.State(), because), lacking
		}
	}
	if s.crowd == nil {
		return "", lacking
	}
	due := s.crowd.known(time.Now().Add(-twoPeriods - soakTold))
	for _, d := range s.Directors {
		table := d.ByClient(t)
		missing, first := 0, ""
		for _, r := range due {
			if c := table[r.local]; c.State != "ESTABLISHED" && r.lives() {
				if missing++; missing == 1 {
					lacking = r.local
					first = fmt.Sprintf("%v: %q", r.local, c.State)
				}
			}
		}
		if missing > 0 {
			return fmt.Sprintf("%s lacks %d of %d streams, such as %s", d.Name, missing, len(due), first), lacking
		}
	}
	return "", lacking
}

// witness says what the directors have of a connection.
func (s *soak) witness(t *testing.T, client netip.AddrPort) string {
	var b strings.Builder
	for _, d := range s.Directors {
		c, ok := d.ByClient(t)[client]
		if !ok {
			fmt.Fprintf(&b, "; %s has none", d.Name)
			continue
		}
		fmt.Fprintf(&b, "; %s has %+v", d.Name, c)
	}
	return b.String()
}

func (s *soak) status(t *testing.T, i int) (admin.Status, error) {
	ctx, cancel := context.WithTimeout(t.Context(), admin.ClientTimeout)
	defer cancel()
	return s.daemons[i].Status(ctx)
}

// unready returns what a daemon has not got yet.
func unready(status admin.Status, peers int) string {
	if status.State != "synced" || status.Taking != nil || status.Serving > 0 {
		return fmt.Sprintf("it is %s, takes a snapshot of %v and serves %d", status.State, status.Taking, status.Serving)
	}
	there := 0
	for _, p := range status.Peers {
		switch {
		case p.Lost:
			continue
		case !p.Proven, p.Missing > 0, p.Resync, p.State != "synced", p.Heard > soakHeard.Seconds():
			return fmt.Sprintf("of its peer %v: %+v", p.PeerName, p)
		}
		there++
	}
	if there != peers {
		return fmt.Sprintf("%d peers, not %d", there, peers)
	}
	return ""
}
