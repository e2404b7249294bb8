package guest

import (
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// release returns what the kernel calls itself.
func release(t testing.TB) string {
	t.Helper()
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		t.Fatal(err)
	}
	return unix.ByteSliceToString(name.Release[:])
}

// slowness is how much less a test asks of a kernel with debuggers, where it is
// about what happens and not about how fast: such a kernel is a tenth as fast
// as another (6.1), or less (7.2). Otherwise it is 1.
func slowness(t testing.TB) int {
	t.Helper()
	if r := release(t); strings.HasSuffix(r, "-debug") || strings.HasSuffix(r, "-kcsan") {
		return 8
	}
	return 1
}
