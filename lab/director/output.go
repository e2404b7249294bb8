package director

import (
	"bytes"
	"sync"
)

// output is what a program says, to be read while it goes on.
type output struct {
	mu  sync.Mutex
	log bytes.Buffer
}

// Write takes the program's output.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.log.Write(p)
}

// Log returns the program's output so far.
func (o *output) Log() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.log.String()
}
