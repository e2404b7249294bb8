package cluster

import (
	"errors"
	"testing"
	"testing/synctest"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

// A peer that joins is given what can be read.
func TestAClosedClassKeepsNoOtherFromAPeer(t *testing.T) {
	const other = testClass + 1
	k := newKernel()
	k.set(1, 10)
	for _, tt := range []struct {
		name    string
		open    bool // the test's class; the other one is closed
		asked   block.Classes
		entries int
		err     error
	}{
		{"both asked, one open", true, block.ClassesOf(testClass, other), 1, nil},
		{"the open one asked", true, block.ClassesOf(testClass), 1, nil},
		{"the closed one asked", true, block.ClassesOf(other), 0, errClosed},
		{"both closed", false, block.ClassesOf(testClass, other), 0, errClosed},
		{"a class that nobody carries", true, block.ClassesOf(testClass + 2), 0, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := holdings{all: []*holding{{class: testClass}, {class: other}}}
			if tt.open {
				h.all[0].objects = &fakeObjects{kernel: k}
			}
			w, err := h.Walk(tt.asked, false)
			if !errors.Is(err, tt.err) {
				t.Fatalf("got %v, want %v", err, tt.err)
			}
			if err != nil {
				return
			}
			defer w.Close()
			body, more, err := w.Read(nil, 1000)
			if err != nil || more {
				t.Fatalf("more: %v, %v", more, err)
			}
			entries := 0
			if len(body) > 0 {
				a, err := block.Block{Type: block.TypeAdvert, Payload: body[block.HeadSize:]}.Advert()
				if err != nil {
					t.Fatal(err)
				}
				entries = a.Count
			}
			if entries != tt.entries {
				t.Errorf("%d entries, want %d", entries, tt.entries)
			}
		})
	}
}

// Who asks has something done by the goroutine that uses the objects, or hears
// that there are none.
func TestObjectsAreUsedByTheirOwnGoroutine(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := pair(t, new(lan))
		var used Objects
		if err := a.With(t.Context(), testClass, func(o Objects) { used = o }); err != nil || used == nil || used.Class() != testClass {
			t.Errorf("used %v: %v", used, err)
		}
		if err := a.With(t.Context(), testClass+1, func(Objects) { t.Error("another class was used") }); !errors.Is(err, errClosed) {
			t.Errorf("a class that is not carried: %v", err)
		}
	})
}
