// Package control is how the host tells a guest what to run: JSON objects, one
// a line, over a serial port of its own, apart from the console.
//
// The guest says Ready once. Then the host sends requests, each with an ID of
// its choice, and the guest answers with any number of pieces of output and one
// exit. Several commands can run at the same time.
package control

// A Request runs a program or, with Signal set, signals one that runs.
type Request struct {
	ID     int64    `json:"id"`
	Argv   []string `json:"argv,omitempty"`
	Env    []string `json:"env,omitempty"`    // added to the agent's own
	Stdin  []byte   `json:"stdin,omitempty"`  // all of it
	Signal int      `json:"signal,omitempty"` // to the process group of ID
}

// A Reply is a piece of a program's output or its end, told apart by Done.
type Reply struct {
	Ready  bool   `json:"ready,omitempty"` // the guest has booted
	ID     int64  `json:"id,omitempty"`
	Stdout []byte `json:"stdout,omitempty"`
	Stderr []byte `json:"stderr,omitempty"`
	Done   bool   `json:"done,omitempty"`
	Exit   int    `json:"exit,omitempty"`  // its status, or 128 + its signal
	Error  string `json:"error,omitempty"` // why it could not be run
}
