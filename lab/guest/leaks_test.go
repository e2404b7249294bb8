package guest

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"
)

// Where a debug kernel says what nobody points to any more.
const kmemleak = "/sys/kernel/debug/kmemleak"

// leaks returns how the run ends in view of what the kernel's memory holds
// behind all tests: 0 where that is in order, or where the kernel cannot tell.
func leaks() int {
	found, err := findLeaks()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return 0
	case err != nil:
		fmt.Println("kmemleak:", err)
		return 1
	case len(found) > 0:
		fmt.Printf("kmemleak:\n%s", found)
		return 1
	}
	fmt.Println("kmemleak: nothing")
	return 0
}

// findLeaks scans twice: a scan tells only of what is some seconds old and was
// without a pointer to it in the one before as well.
func findLeaks() ([]byte, error) {
	if _, err := os.Stat(kmemleak); err != nil {
		return nil, err
	}
	for range 2 {
		time.Sleep(6 * time.Second)
		if err := os.WriteFile(kmemleak, []byte("scan"), 0); err != nil {
			return nil, err
		}
	}
	return os.ReadFile(kmemleak)
}
