package footprint

import (
	"bufio"
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// An allocation is a place in the kernel that allocates, and how many objects
// that it allocated are in use.
type allocation struct {
	count int
	stack []string // functions, the innermost first
}

// by reports whether a function of a module allocated.
func (a allocation) by(module string) bool {
	for _, function := range a.stack {
		if strings.HasSuffix(function, " ["+module+"]") {
			return true
		}
	}
	return false
}

// parse reads an alloc_traces file: for each place a line, with the stack behind
// it, each of its lines indented further, and an empty line.
//
//	3 kvmalloc_node+0x4f/0xe0 age=1/2/3 pid=1-99 cpus=0-1
//	  __kmem_cache_alloc_node+0x11/0x20
//	  ssyncp_queue_alloc+0x7a/0x220 [ssyncp]
func parse(text []byte) ([]allocation, error) {
	var found []allocation
	heading := true
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		switch {
		case line == "":
			heading = true
		case line == "No data":
		case heading:
			number, rest, _ := strings.Cut(line, " ")
			count, err := strconv.Atoi(number)
			if err != nil {
				return nil, fmt.Errorf("footprint: %q does not begin with how many", line)
			}
			function, _, _ := strings.Cut(rest, " age=")
			found = append(found, allocation{count: count, stack: []string{strings.TrimSpace(function)}})
			heading = false
		default:
			last := &found[len(found)-1]
			last.stack = append(last.stack, line)
		}
	}
	return found, nil
}
