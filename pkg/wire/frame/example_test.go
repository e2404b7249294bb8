package frame_test

import (
	"errors"
	"fmt"

	"github.com/ssyncp/ssyncp/pkg/wire/frame"
)

func Example() {
	key, err := frame.ParseKeyFile([]byte("ssyncp-key-1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=\n"))
	if err != nil {
		fmt.Println(err)
		return
	}
	sealer, err := frame.NewSealer(7, key, nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	opener, err := frame.NewOpener(7, key)
	if err != nil {
		fmt.Println(err)
		return
	}

	// The body is where it is going to be in the frame: sealed in place.
	buf := make([]byte, 1480)
	head := frame.Sealed.Head()
	body := append(buf[head:head], "a body of package block"...)
	message, err := sealer.Seal(buf[:0], body)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Printf("% x and %d bytes\n", message[:frame.HeaderSize], len(message)-frame.HeaderSize)

	body, err = opener.Open(message)
	fmt.Printf("%s, %v\n", body, err)

	_, err = opener.Open(message) // it is not a frame any more
	fmt.Println(errors.Is(err, frame.ErrSeal))
	// Output:
	// 00 07 00 4b 00 02 00 00 01 00 50 1d and 63 bytes
	// a body of package block, <nil>
	// true
}

func ExampleKey_Format() {
	fmt.Println(frame.NewKey([frame.KeySize]byte{1, 2, 3}))
	// Output:
	// key 3032
}
