package peering

import (
	"bytes"
	"math/rand/v2"
	"os"
	"runtime"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// bodyNumbered is told from others by its contents.
func bodyNumbered(sequence uint64, size int) []byte {
	return bytes.Repeat([]byte{byte(sequence), byte(sequence >> 8), 0xff}, size/3+1)[:size]
}

// has returns the body of a sequence, nil where it is not kept.
func (r *ring) has(sequence uint64) []byte {
	if sequence < r.first || sequence > r.last {
		return nil
	}
	s := r.slot(sequence)
	return r.buf[s.at : s.at+s.size]
}

// What fills up in the course of hours would pass for a leak.
func TestRingHasItsMemoryFromTheStart(t *testing.T) {
	r := newRing(16 << 20)
	at, page := uintptr(unsafe.Pointer(&r.buf[0])), uintptr(os.Getpagesize())
	first, end := at+(page-at%page)%page, at+uintptr(len(r.buf)) // mincore wants whole pages
	there := make([]byte, (end-first)/page)
	if _, _, errno := unix.Syscall(unix.SYS_MINCORE, first, uintptr(len(there))*page, uintptr(unsafe.Pointer(&there[0]))); errno != 0 {
		t.Fatal(errno)
	}
	missing := 0
	for _, b := range there {
		if b&1 == 0 {
			missing++
		}
	}
	if missing > len(there)/10 { // a host may take some away at once
		t.Errorf("of %d pages %d are not there", len(there), missing)
	}
	runtime.KeepAlive(r)
}

func TestRingKeepsTheLastFrames(t *testing.T) {
	r := newRing(defaultRingBytes)
	for q := uint64(1); q <= 2*ringFrames; q++ {
		r.put(q, bodyNumbered(q, 100), epoch)
	}
	if r.first != ringFrames+1 || r.last != 2*ringFrames {
		t.Errorf("keeps %d to %d", r.first, r.last)
	}
}

func TestRingKeepsWhatFits(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	const size = 100_000
	r := newRing(size)
	for q := uint64(1); q < 2000; q++ {
		r.put(q, bodyNumbered(q, 3+rng.IntN(1500)), epoch)
		used := 0
		for k := r.first; k <= r.last; k++ {
			body := r.has(k)
			used += len(body)
			if !bytes.Equal(body, bodyNumbered(k, len(body))) {
				t.Fatalf("at %d: the body of %d was overwritten", q, k)
			}
		}
		if q > 500 && used < size-2*1503 {
			t.Fatalf("at %d: keeps %d bytes of %d", q, used, size)
		}
	}
}

func TestRingIsEmptyBehindABodyThatDoesNotFit(t *testing.T) {
	r := newRing(1000)
	r.put(1, bodyNumbered(1, 500), epoch)
	r.want(1, 1, epoch)
	r.put(2, bodyNumbered(2, 1001), epoch)
	if r.first <= r.last || r.wanted != 0 {
		t.Errorf("keeps %d to %d, %d wanted", r.first, r.last, r.wanted)
	}
	r.put(3, bodyNumbered(3, 1000), epoch)
	if r.has(3) == nil || r.has(2) != nil {
		t.Error("does not go on")
	}
}

func TestAFrameIsSentAgainOnceInAWhileHoweverManyAsk(t *testing.T) {
	r := newRing(10_000)
	for q := uint64(1); q <= 5; q++ {
		r.put(q, bodyNumbered(q, 100), epoch.Add(time.Duration(q)))
	}
	for range 3 {
		r.want(2, 3, epoch)
		r.want(3, 99, epoch)
		r.want(0, 0, epoch)
	}
	for _, want := range []uint64{2, 3, 4, 5, 0} {
		q, body, asOf := r.next(epoch)
		if q != want || want != 0 && (!bytes.Equal(body, bodyNumbered(q, 100)) || asOf != epoch.Add(time.Duration(q))) {
			t.Errorf("sequence %d, want %d", q, want)
		}
	}
	if marked, recent := r.want(2, 5, epoch.Add(resendInterval-1)); marked != 0 || recent != 4 {
		t.Errorf("%d marked, %d recent", marked, recent)
	}
	if marked, _ := r.want(2, 5, epoch.Add(resendInterval)); marked != 4 {
		t.Errorf("%d marked", marked)
	}
}

func TestWhatTheRingDropsIsNotSentAgain(t *testing.T) {
	r := newRing(1000)
	for q := uint64(1); q <= 10; q++ {
		r.put(q, bodyNumbered(q, 100), epoch)
	}
	r.want(1, 3, epoch)
	for q := uint64(11); q <= 12; q++ {
		r.put(q, bodyNumbered(q, 100), epoch)
	}
	if q, _, _ := r.next(epoch); q != 3 || r.wanted != 0 {
		t.Errorf("sequence %d, %d more", q, r.wanted)
	}
}
