package ipvsdevice_test

import (
	"errors"
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/internal/ipvsdevice"
	"github.com/ssyncp/ssyncp/internal/ipvsdevice/ipvsdevicetest"
	"github.com/ssyncp/ssyncp/pkg/chardev"
	"github.com/ssyncp/ssyncp/pkg/chardev/chardevtest"
	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

func openCapture(t *testing.T, m *chardevtest.Module, linger time.Duration) *ipvsdevice.Capture {
	t.Helper()
	c, err := ipvsdevice.OpenCapture(ipvsdevicetest.Opener(m), chardev.ReadMin, linger)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func TestCaptureReadsOnceACall(t *testing.T) {
	var m chardevtest.Module
	c := openCapture(t, &m, 0)
	m.Queue(ipvsdevicetest.Conns(500)...)
	got := 0
	var conn ipvs.Conn
	for reads := uint64(1); ; reads++ {
		batch, err := c.Read()
		if err != nil {
			t.Fatal(err)
		}
		if n := ipvsdevicetest.ReadCalls(t, &m); n != reads {
			t.Fatalf("%d reads of the device after %d", n, reads)
		}
		if batch == nil {
			break
		}
		for batch.Next(&conn) {
			got++
		}
	}
	if got != 500 {
		t.Errorf("%d connections, want 500", got)
	}
}

func TestCaptureIsPausedWhileTheMasterRuns(t *testing.T) {
	var m chardevtest.Module
	c := openCapture(t, &m, 0)
	for _, tt := range []struct {
		name   string
		events []chardev.Events
		want   error
	}{
		{"lost", []chardev.Events{chardev.EventLost}, nil},
		{"running", []chardev.Events{chardev.EventMasterRunning}, ipvsdevice.ErrMasterRunning},
		{"still running", nil, ipvsdevice.ErrMasterRunning},
		// Between two reads: what counts is the end.
		{"stopped and running", []chardev.Events{chardev.EventMasterStopped, chardev.EventMasterRunning}, ipvsdevice.ErrMasterRunning},
		{"stopped", []chardev.Events{chardev.EventMasterStopped | chardev.EventLost}, nil},
	} {
		for _, e := range tt.events {
			m.Raise(e)
		}
		if _, err := c.Read(); err != nil {
			t.Fatal(err)
		}
		if err := c.Pause(); !errors.Is(err, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
		}
	}
}

func TestMasterThatRunsAlreadyPausesCaptureBeforeTheFirstEvent(t *testing.T) {
	var m chardevtest.Module
	m.Raise(chardev.EventMasterRunning)
	if err := openCapture(t, &m, 0).Pause(); !errors.Is(err, ipvsdevice.ErrMasterRunning) {
		t.Errorf("err = %v", err)
	}
}

func TestSweepsFollowTheShortestTimeout(t *testing.T) {
	var m chardevtest.Module
	c := openCapture(t, &m, 0)
	for _, tt := range []struct{ shortest, want time.Duration }{
		{0, 500 * time.Millisecond}, // the module does not say
		{time.Second, 500 * time.Millisecond},
		{4 * time.Second, 500 * time.Millisecond},
		{10 * time.Second, 1250 * time.Millisecond},
		{time.Minute, 7500 * time.Millisecond},
		{80 * time.Second, 10 * time.Second},
		{2 * time.Minute, 10 * time.Second},
		{15 * time.Minute, 10 * time.Second},
	} {
		m.SetShortestTimeout(tt.shortest)
		if got, err := c.SweepEvery(); err != nil || got != tt.want {
			t.Errorf("timeout %v: %v, %v; want %v", tt.shortest, got, err, tt.want)
		}
	}
	c.Close()
	if _, err := c.SweepEvery(); !errors.Is(err, chardev.ErrClosed) {
		t.Errorf("of a closed device: %v", err)
	}
}
