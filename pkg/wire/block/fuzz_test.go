package block_test

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/ssyncp/ssyncp/pkg/wire/block"
	"github.com/ssyncp/ssyncp/pkg/wire/internal/goldentest"
)

// What is taken from a body is what the builders write, block by block, apart
// from fields of a later version.
func FuzzParse(f *testing.F) {
	for _, file := range []string{"all.hex", "chunk.hex"} {
		body := goldentest.Read(f, file)
		f.Add(body)
		parsed, err := block.Parse(body)
		if err != nil {
			f.Fatal(err)
		}
		blocks := parsed.Blocks()
		for b := (block.Block{}); blocks.Next(&b); {
			f.Add(bodyOf(append([]byte{byte(b.Type), 0}, b.Payload...)))
		}
	}
	for _, b := range [][]byte{exampleQuery(f), exampleAnswer(f), exampleLastAdverts(f)} {
		f.Add(bodyOf(append([]byte{b[0], 0}, b[block.HeadSize:]...)))
	}
	f.Add(bodyOf([]byte{0x80, 0}))
	f.Add(bodyOf())
	f.Fuzz(func(t *testing.T, body []byte) {
		original := bytes.Clone(body)
		parsed, err := block.Parse(body)
		blocks := parsed.Blocks()
		var b block.Block
		if err != nil {
			if blocks.Next(&b) {
				t.Errorf("%v, but it yields a block", err)
			}
			return
		}
		if !bytes.Equal(original, body) {
			t.Fatal("the body was changed")
		}
		n := 0
		for ; blocks.Next(&b); n++ {
			if b.Type == block.TypeAdvert {
				rewriteAdvert(t, b)
				continue
			}
			if !b.Type.Known() {
				if b.Type&block.Mandatory != 0 {
					t.Fatalf("%v was let pass", b.Type)
				}
				continue
			}
			single, err := block.Parse(bodyOf(append([]byte{byte(b.Type), 0}, b.Payload...)))
			if err != nil {
				t.Fatalf("%v alone: %v", b.Type, err)
			}
			want := read(t, &single)
			again := write(t, single.Header, want)
			if len(again) > block.HeaderSize+block.HeadSize+len(b.Payload) {
				t.Errorf("%v grew: %x, was %x", b.Type, again, b.Payload)
			}
			second, err := block.Parse(again)
			if err != nil {
				t.Fatalf("%v written again: %v", b.Type, err)
			}
			if got := read(t, &second); !reflect.DeepEqual(got, want) {
				t.Errorf("got\n%+v, want\n%+v", got, want)
			}
		}
		if n == 0 {
			t.Error("a body without a block")
		}
	})
}

// rewriteAdvert writes an ADVERT as its package does, which gives the same
// octets.
func rewriteAdvert(t *testing.T, b block.Block) {
	a, err := b.Advert()
	if err != nil {
		t.Fatalf("in a body that was parsed: %v", err)
	}
	again := make([]byte, block.HeaderSize)
	again = append(block.BeginAdvert(again, a.Class), a.Entries...)
	if err := block.EndAdvert(again, block.HeaderSize, a.Count); err != nil {
		t.Fatal(err)
	}
	block.Stamp(again, a.Sequence, a.Held)
	if got := again[block.HeaderSize+block.HeadSize:]; !bytes.Equal(got, b.Payload) {
		t.Errorf("got\n%x, want\n%x", got, b.Payload)
	}
}
