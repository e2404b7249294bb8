package chardev

import (
	"errors"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/ssyncp/ssyncp/pkg/ipvs"
)

// openFIFO opens a FIFO, which gives back what is written to it: to the poller
// it is what the device is. It knows no ATTACH, so that is passed over.
func openFIFO(t *testing.T) *Device {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ssyncp")
	if err := unix.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	d.opening.Lock()
	err = d.enterPoller()
	d.opening.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil && !errors.Is(err, ErrClosed) {
			t.Error(err)
		}
	})
	return d
}

func record(t *testing.T, port uint16) []byte {
	t.Helper()
	c := ipvs.Conn{
		Protocol: ipvs.TCP,
		Client:   netip.AddrPortFrom(netip.AddrFrom4([4]byte{192, 0, 2, 1}), port),
		Virtual:  netip.MustParseAddrPort("198.51.100.1:80"),
		Dest:     netip.MustParseAddrPort("10.0.0.1:80"),
	}
	p, err := AppendRecord(nil, &c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestReadBatchDoesNotWait(t *testing.T) {
	d := openFIFO(t)
	b := NewBatch(0)
	if ok, err := d.ReadBatch(b); ok || err != nil {
		t.Fatalf("nothing there: %v, %v", ok, err)
	}
	if n, err := d.Write(append(record(t, 1), record(t, 2)...)); n != 2*MinRecordSize || err != nil {
		t.Fatalf("write: %d, %v", n, err)
	}
	ok, err := d.ReadBatch(b)
	if !ok || err != nil {
		t.Fatalf("two records: %v, %v", ok, err)
	}
	var c ipvs.Conn
	for _, port := range []uint16{1, 2} {
		if !b.Next(&c) || c.Client.Port() != port {
			t.Errorf("got %v, %v; want port %d", &c, b.Err(), port)
		}
	}
	if b.Next(&c) || b.Err() != nil {
		t.Errorf("a third: %v, %v", &c, b.Err())
	}
	if ok, err := d.ReadBatch(b); ok || err != nil || b.Next(&c) {
		t.Errorf("read again: %v, %v, length %d", ok, err, b.Len())
	}
}

func TestReadBatchDoesNotMindAnExpiredDeadline(t *testing.T) {
	d := openFIFO(t)
	if err := d.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	b := NewBatch(0)
	if ok, err := d.ReadBatch(b); ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
	if err := d.WaitBatch(b); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("waiting: %v, want %v", err, os.ErrDeadlineExceeded)
	}
}

func TestWaitBatchEndsAtItsDeadline(t *testing.T) {
	d := openFIFO(t)
	if err := d.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
		t.Fatal(err)
	}
	err := d.WaitBatch(NewBatch(0))
	var op *OpError
	if !errors.Is(err, os.ErrDeadlineExceeded) || !errors.As(err, &op) || op.Op != "read" || op.Path != d.Path() {
		t.Errorf("got %v, want %v", err, os.ErrDeadlineExceeded)
	}
}

func TestWaitBatchWakesWhenThereIsNews(t *testing.T) {
	d := openFIFO(t)
	b := NewBatch(0)
	done := make(chan error, 1)
	go func() { done <- d.WaitBatch(b) }()
	time.Sleep(10 * time.Millisecond)
	if _, err := d.Write(record(t, 7)); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	var c ipvs.Conn
	if !b.Next(&c) || c.Client.Port() != 7 {
		t.Errorf("got %v, %v", &c, b.Err())
	}
}

func TestCloseEndsAWaitingRead(t *testing.T) {
	d := openFIFO(t)
	done := make(chan error, 1)
	go func() { done <- d.WaitBatch(NewBatch(0)) }()
	time.Sleep(10 * time.Millisecond)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; !errors.Is(err, ErrClosed) {
		t.Errorf("got %v, want %v", err, ErrClosed)
	}
}

func TestEveryCallAfterCloseSaysClosed(t *testing.T) {
	attached := openFIFO(t)
	fresh, err := Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	for name, d := range map[string]*Device{"attached": attached, "never attached": fresh} {
		if err := d.Close(); err != nil {
			t.Fatal(err)
		}
		b := NewBatch(0)
		_, read := d.ReadBatch(b)
		_, write := d.Write(record(t, 1))
		_, refusals := d.Refusals(nil)
		for op, err := range map[string]error{
			"read": read, "write": write, "refusals": refusals,
			"wait": d.WaitBatch(b), "deadline": d.SetReadDeadline(time.Now()), "stats": d.Stats(&Stats{}),
			"attach": d.Attach(AttachOptions{Mode: ModeCapture}), "close": d.Close(),
		} {
			if !errors.Is(err, ErrClosed) {
				t.Errorf("%s, %s: %v, want %v", name, op, err, ErrClosed)
			}
		}
	}
}

func TestBeforeAttachNothingIsReadOrWritten(t *testing.T) {
	d, err := Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	b := NewBatch(0)
	_, read := d.ReadBatch(b)
	_, write := d.Write(record(t, 1))
	for op, err := range map[string]error{
		"read": read, "write": write, "wait": d.WaitBatch(b), "deadline": d.SetReadDeadline(time.Now()),
	} {
		if !errors.Is(err, ErrNotAttached) {
			t.Errorf("%s: %v, want %v", op, err, ErrNotAttached)
		}
	}
}

func TestOpenSaysWhatIsMissing(t *testing.T) {
	_, err := Open(filepath.Join(t.TempDir(), "none"))
	if !errors.Is(err, ErrNotLoaded) || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v, want %v", err, ErrNotLoaded)
	}
}

func TestAnotherDeviceIsNotOurs(t *testing.T) {
	d, err := Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := d.Attach(AttachOptions{Mode: ModeCapture}); !errors.Is(err, ErrNotDevice) {
		t.Errorf("attach: %v, want %v", err, ErrNotDevice)
	}
	if err := d.Stats(&Stats{}); !errors.Is(err, ErrNotDevice) {
		t.Errorf("stats: %v, want %v", err, ErrNotDevice)
	}
}

func TestAttachRefusesALingerThatDoesNotFit(t *testing.T) {
	d, err := Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for _, linger := range []time.Duration{-1, 50 * 24 * time.Hour} {
		if err := d.Attach(AttachOptions{Mode: ModeCapture, Linger: linger}); !errors.Is(err, ErrInvalid) {
			t.Errorf("%v: %v, want %v", linger, err, ErrInvalid)
		}
	}
}

func TestWriteRefusesMoreThanTheDeviceTakes(t *testing.T) {
	d := openFIFO(t)
	if n, err := d.Write(make([]byte, WriteMax+Align)); n != 0 || !errors.Is(err, ErrTooLarge) {
		t.Errorf("got %d, %v, want %v", n, err, ErrTooLarge)
	}
	if n, err := d.Write(nil); n != 0 || err != nil {
		t.Errorf("nothing: %d, %v", n, err)
	}
}

func TestAPartialWriteIsAMalformedRecord(t *testing.T) {
	d := openFIFO(t)
	// A FIFO takes what fits, as the device takes what is well formed.
	n, err := d.Write(make([]byte, WriteMax))
	if n <= 0 || n >= WriteMax || !errors.Is(err, ErrMalformed) {
		t.Errorf("got %d, %v, want %v", n, err, ErrMalformed)
	}
}

func TestErrnoMeansWhatTheHeaderSays(t *testing.T) {
	for _, tt := range []struct {
		call  string
		table map[unix.Errno]error
		errno unix.Errno
		want  error
	}{
		{"open", openErrors, unix.ENOENT, ErrNotLoaded},
		{"open", openErrors, unix.ENXIO, ErrNotLoaded},
		{"open", openErrors, unix.ENODEV, ErrNotLoaded},
		{"open", openErrors, unix.EACCES, ErrPermission},
		{"open", openErrors, unix.EPERM, ErrPermission},
		{"open", openErrors, unix.EMFILE, unix.EMFILE},
		{"attach", attachErrors, unix.EPROTONOSUPPORT, ErrABIMismatch},
		{"attach", attachErrors, unix.EBUSY, ErrBusy},
		{"attach", attachErrors, unix.EISCONN, ErrAlreadyAttached},
		{"attach", attachErrors, unix.EOPNOTSUPP, ErrUnsupported},
		{"attach", attachErrors, unix.EINVAL, ErrInvalid},
		{"attach", attachErrors, unix.ENOTTY, ErrNotDevice},
		{"attach", attachErrors, unix.ENOMEM, unix.ENOMEM},
		{"read", readErrors, unix.ENOTCONN, ErrNotAttached},
		{"read", readErrors, unix.EBADF, ErrWrongMode},
		{"read", readErrors, unix.EFAULT, unix.EFAULT},
		{"write", writeErrors, unix.EINVAL, ErrMalformed},
		{"write", writeErrors, unix.EMSGSIZE, ErrTooLarge},
		{"write", writeErrors, unix.ENOTCONN, ErrNotAttached},
		{"write", writeErrors, unix.EBADF, ErrWrongMode},
		{"query", queryErrors, unix.ENOTCONN, ErrNotAttached},
		{"query", queryErrors, unix.EBADF, ErrWrongMode},
		{"query", queryErrors, unix.ENOTTY, ErrNotDevice},
		{"query", queryErrors, 0, nil},
	} {
		if got := errnoError(tt.errno, tt.table); got != tt.want {
			t.Errorf("%s, %v: %v, want %v", tt.call, tt.errno, got, tt.want)
		}
	}
}

func TestErrorsSayWhatToDo(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{&OpError{"open", "/dev/ssyncp", ErrNotLoaded},
			"open /dev/ssyncp: no such device; is the kernel module loaded? (modprobe ssyncp)"},
		{&OpError{"open", "/dev/ssyncp", ErrPermission},
			"open /dev/ssyncp: permission denied; it takes CAP_NET_ADMIN and access to the device node"},
		{&OpError{"attach", "/dev/ssyncp", &ABIMismatchError{Program: 1, Module: 2}},
			"attach /dev/ssyncp: the module has ABI version 2, this program needs 1; install both from one release"},
	} {
		if got := tt.err.Error(); got != tt.want {
			t.Errorf("got\n%s, want\n%s", got, tt.want)
		}
	}
	if err := error(&OpError{"attach", "/dev/ssyncp", &ABIMismatchError{1, 2}}); !errors.Is(err, ErrABIMismatch) {
		t.Errorf("%v is not %v", err, ErrABIMismatch)
	}
	if !errors.Is(ErrPermission, os.ErrPermission) || !errors.Is(ErrNotLoaded, os.ErrNotExist) {
		t.Error("the sentinel values are not those of package os")
	}
}

func TestReadAndWriteDoNotAllocate(t *testing.T) {
	d := openFIFO(t)
	b, p := NewBatch(0), record(t, 1)
	if n := testing.AllocsPerRun(100, func() {
		if _, err := d.Write(p); err != nil {
			t.Fatal(err)
		}
		if ok, err := d.ReadBatch(b); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if ok, err := d.ReadBatch(b); ok || err != nil {
			t.Fatal(ok, err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestEOFIsTheEndOfASnapshot(t *testing.T) {
	d, err := Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	d.opening.Lock()
	err = d.enterPoller()
	d.opening.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := d.ReadBatch(NewBatch(0)); ok || !errors.Is(err, io.EOF) {
		t.Errorf("got %v, %v, want %v", ok, err, io.EOF)
	}
	for c, err := range Snapshot(t.Context(), d, NewBatch(0)) {
		t.Errorf("an empty snapshot has %v, %v", c, err)
	}
}
