package daemon

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ssyncp/ssyncp/internal/config"
	"github.com/ssyncp/ssyncp/internal/ipvssync"
	"github.com/ssyncp/ssyncp/internal/transport"
	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// reporter returns a report, what it counts, and its log.
func reporter() (*report, *transport.Counters, *ipvssync.Counters, *strings.Builder) {
	var log strings.Builder
	v := newVersion1(&daemon{}, config.Config{}, config.Link{}, nil, false)
	device := func() (chardev.Stats, error) { return chardev.Stats{}, errors.New("device is gone") }
	r := newReport(slog.New(slog.NewTextHandler(&log, nil)), device, v.counters)
	return r, v.link, v.ipvs, &log
}

func TestFloodIsSummedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, link, _, log := reporter()
		defer r.ticker.Stop()
		for range 60 { // ten minutes
			link.Dropped.Add(transport.DropTTL, 1000000)
			time.Sleep(troublesEvery)
			r.troubles()
		}
		if n := strings.Count(log.String(), "\n"); n < 9 || n > 11 {
			t.Errorf("%d lines in ten minutes:\n%s", n, log)
		}
		first, _, _ := strings.Cut(log.String(), "\n")
		if !strings.Contains(first, "level=WARN") || !strings.Contains(first, "group=receive_dropped ttl=1000000") {
			t.Errorf("first line: %s", first)
		}
	})
}

func TestNewKindOfTroubleIsToldAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, link, ipvs, log := reporter()
		defer r.ticker.Stop()
		link.Dropped.Add(transport.DropTTL, 1)
		r.troubles()
		link.Dropped.Add(transport.DropOverrun, 7)
		ipvs.Refused.Add(ipvssync.RefusedChecksum, 2)
		time.Sleep(troublesEvery)
		r.troubles()
		for _, want := range []string{"group=receive_dropped overrun=7", "group=ipvs_refused checksum=2"} {
			if !strings.Contains(log.String(), want) {
				t.Errorf("no %q in:\n%s", want, log)
			}
		}
	})
}

func TestNothingIsSaidWhereNothingIsWrong(t *testing.T) {
	r, link, _, log := reporter()
	defer r.ticker.Stop()
	link.Received.Add(transport.ReceivedDatagrams, 5)
	r.troubles()
	if log.Len() > 0 {
		t.Error(log)
	}
}

func TestSummaryHasWhatIsNotZero(t *testing.T) {
	r, link, _, log := reporter()
	defer r.ticker.Stop()
	link.Received.Add(transport.ReceivedDatagrams, 5)
	link.Dropped.Add(transport.DropOwn, 3)
	r.summary()
	for _, want := range []string{"group=received datagrams=5\n", "group=receive_dropped own=3\n", "device is gone"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("no %q in:\n%s", want, log)
		}
	}
	if strings.Contains(log.String(), "=0") {
		t.Errorf("zeros in:\n%s", log)
	}
}
