package main

import (
	"testing"
	"time"

	"github.com/ssyncp/ssyncp/pkg/chardev"
)

// What the queue had is taken for what it is, and how long ago it had it.
func TestWhatIsReadIsVerified(t *testing.T) {
	content, err := newContent(batch)
	if err != nil {
		t.Fatal(err)
	}
	k := &kernel{content: content}
	source, target := &device{kernel: k, mode: chardev.ModeCapture}, &device{kernel: k, mode: chardev.ModeInject}
	const rate = 100_000
	k.run(rate, monotonic()-int64(50*time.Millisecond))
	b := chardev.NewBatch(batch)
	if ok, err := source.ReadBatch(b); !ok || err != nil || b.Len() < 5000*content.size {
		t.Fatalf("read %d bytes, %v", b.Len(), err)
	}
	if _, err := target.Write(b.Bytes()); err != nil {
		t.Fatal(err)
	}
	if k.counted.Read != k.counted.Written || k.counted.Wrong != 0 {
		t.Errorf("counted %+v", k.counted)
	}
	samples, late := k.late.quantiles(0, 0.5, 1)
	if samples != k.counted.Written || late[0] > 20*time.Millisecond || late[1] < 20*time.Millisecond || late[2] < 49*time.Millisecond || late[2] > 70*time.Millisecond {
		t.Errorf("%d samples, late by %v", samples, late)
	}
	b.Bytes()[content.client+20] ^= 1
	b.Bytes()[7*content.size+content.age+3] = 1 // byte 3 of an age: hours
	if _, err := target.Write(b.Bytes()); err != nil || k.counted.Wrong != 2 {
		t.Errorf("of two that were changed, %d were found: %v", k.counted.Wrong, err)
	}
}

// A read that begins near the last connection goes on with the first one.
func TestConnectionsComeInTurn(t *testing.T) {
	content, err := newContent(batch)
	if err != nil {
		t.Fatal(err)
	}
	k := &kernel{content: content}
	source := &device{kernel: k, mode: chardev.ModeCapture}
	k.run(0, monotonic())
	b := chardev.NewBatch(batch)
	next := uint32(0)
	for k.read < distinct+1 {
		if _, err := source.ReadBatch(b); err != nil {
			t.Fatal(err)
		}
		for rest := b.Bytes(); len(rest) > 0; rest = rest[content.size:] {
			if number, ok := content.verify(rest); !ok || number != next%distinct {
				t.Fatalf("connection %d, %v, want %d", number, ok, next%distinct)
			}
			next++
		}
	}
}
