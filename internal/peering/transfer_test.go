package peering

import (
	"slices"
	"testing"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
)

func TestChunksAreTakenInAnyOrder(t *testing.T) {
	type step struct {
		number     uint32
		last       bool
		new, valid bool
	}
	for _, tt := range []struct {
		name    string
		steps   []step
		next    uint32
		missing []block.ChunkRange
		done    bool
	}{
		{"one", []step{{0, true, true, true}}, 1, nil, true},
		{"in order", []step{{0, false, true, true}, {1, false, true, true}, {2, true, true, true}}, 3, nil, true},
		{"backwards", []step{{2, true, true, true}, {1, false, true, true}, {0, false, true, true}}, 3, nil, true},
		{"twice", []step{{1, false, true, true}, {1, false, false, true}, {0, false, true, true}, {0, false, false, true}}, 2, nil, false},
		{"with holes", []step{{1, false, true, true}, {4, false, true, true}, {5, true, true, true}}, 0,
			[]block.ChunkRange{{First: 0, Count: 1}, {First: 2, Count: 2}}, false},
		{"at the end of the window", []step{{chunkWindow - 1, false, true, true}, {chunkWindow, false, false, false}}, 0,
			[]block.ChunkRange{{First: 0, Count: chunkWindow - 1}}, false},
		{"behind the last one", []step{{1, true, true, true}, {2, false, false, false}, {0, true, false, false}, {0, false, true, true}}, 2, nil, true},
		{"a last one below others", []step{{3, false, true, true}, {1, true, false, false}}, 0,
			[]block.ChunkRange{{First: 0, Count: 3}}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var c chunks
			for i, s := range tt.steps {
				if isNew, valid := c.take(s.number, s.last); isNew != s.new || valid != s.valid {
					t.Errorf("step %d: new %v, valid %v", i, isNew, valid)
				}
			}
			if c.next != tt.next || c.done() != tt.done || !slices.Equal(c.missing(nil), tt.missing) {
				t.Errorf("next %d, done %v, missing %v", c.next, c.done(), c.missing(nil))
			}
		})
	}
}

func TestAWholeWindowOfChunks(t *testing.T) {
	var c chunks
	for round := range uint32(3) {
		for i := range uint32(chunkWindow) {
			number := round*chunkWindow + chunkWindow - 1 - i
			if isNew, valid := c.take(number, false); !isNew || !valid {
				t.Fatalf("chunk %d: new %v, valid %v", number, isNew, valid)
			}
		}
	}
	if c.next != 3*chunkWindow {
		t.Errorf("next %d", c.next)
	}
}
