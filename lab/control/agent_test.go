package control

import (
	"bytes"
	"encoding/json"
	"net"
	"syscall"
	"testing"
	"time"
)

// A host drives an agent over a pipe.
type host struct {
	t       *testing.T
	conn    net.Conn
	replies *json.Decoder
}

func connect(t *testing.T) host {
	t.Helper()
	ours, theirs := net.Pipe()
	t.Cleanup(func() { ours.Close() })
	go Serve(theirs)
	ours.SetDeadline(time.Now().Add(20 * time.Second))
	h := host{t, ours, json.NewDecoder(ours)}
	if r := h.next(); !r.Ready {
		t.Fatalf("the first reply is %+v, want ready", r)
	}
	return h
}

func (h host) send(r Request) {
	h.t.Helper()
	if err := json.NewEncoder(h.conn).Encode(r); err != nil {
		h.t.Fatal(err)
	}
}

func (h host) next() Reply {
	h.t.Helper()
	var r Reply
	if err := h.replies.Decode(&r); err != nil {
		h.t.Fatal(err)
	}
	return r
}

// finish collects the output of the one command that runs, to its end.
func (h host) finish() (stdout, stderr string, last Reply) {
	h.t.Helper()
	var out, said bytes.Buffer
	for {
		r := h.next()
		out.Write(r.Stdout)
		said.Write(r.Stderr)
		if r.Done {
			return out.String(), said.String(), r
		}
	}
}

func TestAgentRunsPrograms(t *testing.T) {
	for _, test := range []struct {
		name           string
		request        Request
		stdout, stderr string
		exit           int
	}{
		{"output is kept apart", Request{ID: 1, Argv: []string{"sh", "-c", "echo out; echo said >&2"}}, "out\n", "said\n", 0},
		{"status", Request{ID: 2, Argv: []string{"sh", "-c", "exit 3"}}, "", "", 3},
		{"death by a signal", Request{ID: 3, Argv: []string{"sh", "-c", "kill -9 $$"}}, "", "", 137},
		{"input", Request{ID: 4, Argv: []string{"cat"}, Stdin: []byte("in\x00\xff")}, "in\x00\xff", "", 0},
		{"environment", Request{ID: 5, Argv: []string{"sh", "-c", "echo $A"}, Env: []string{"A=b c"}}, "b c\n", "", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			h := connect(t)
			h.send(test.request)
			stdout, stderr, last := h.finish()
			if stdout != test.stdout || stderr != test.stderr {
				t.Errorf("said %q and %q, want %q and %q", stdout, stderr, test.stdout, test.stderr)
			}
			if last.ID != test.request.ID || last.Exit != test.exit || last.Error != "" {
				t.Errorf("ended with %+v, want exit %d", last, test.exit)
			}
		})
	}
}

func TestAgentSaysWhyAProgramDidNotRun(t *testing.T) {
	h := connect(t)
	h.send(Request{ID: 1, Argv: []string{"/no/such/program"}})
	if _, _, last := h.finish(); last.Error == "" {
		t.Errorf("ended with %+v, want an error", last)
	}
}

func TestAgentSignalsAProgramAndItsChildren(t *testing.T) {
	h := connect(t)
	h.send(Request{ID: 1, Argv: []string{"sh", "-c", "echo started; sleep 60; true"}})
	if r := h.next(); string(r.Stdout) != "started\n" {
		t.Fatalf("%+v", r)
	}
	h.send(Request{ID: 1, Signal: int(syscall.SIGKILL)})
	if _, _, last := h.finish(); last.Exit != 128+int(syscall.SIGKILL) {
		t.Errorf("ended with %+v, want death by SIGKILL", last)
	}
}

func TestAgentRunsSeveralProgramsAtOnce(t *testing.T) {
	h := connect(t)
	h.send(Request{ID: 1, Argv: []string{"sleep", "60"}})
	h.send(Request{ID: 2, Argv: []string{"true"}})
	if _, _, last := h.finish(); last.ID != 2 {
		t.Fatalf("%+v ended first, want 2", last)
	}
	h.send(Request{ID: 1, Signal: int(syscall.SIGKILL)})
	h.finish()
}
