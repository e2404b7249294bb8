package control

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"syscall"
)

// An agent carries out requests in the guest.
type agent struct {
	mu      sync.Mutex
	replies *json.Encoder
	running map[int64]*os.Process
}

// Serve says Ready and carries out requests from port until it ends.
func Serve(port io.ReadWriter) error {
	a := &agent{replies: json.NewEncoder(port), running: make(map[int64]*os.Process)}
	if err := a.reply(Reply{Ready: true}); err != nil {
		return err
	}
	requests := json.NewDecoder(bufio.NewReader(port))
	for {
		var request Request
		if err := requests.Decode(&request); err != nil {
			return fmt.Errorf("control: read a request: %w", err)
		}
		if request.Signal != 0 {
			a.signal(request)
			continue
		}
		// Started here, so that a signal that follows finds it.
		command, err := a.start(request)
		go a.finish(request.ID, command, err)
	}
}

func (a *agent) reply(r Reply) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.replies.Encode(r)
}

func (a *agent) signal(r Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if process := a.running[r.ID]; process != nil {
		// ESRCH is the one error possible: it has just ended.
		_ = syscall.Kill(-process.Pid, syscall.Signal(r.Signal))
	}
}

func (a *agent) start(r Request) (*exec.Cmd, error) {
	if len(r.Argv) == 0 {
		return nil, errors.New("empty command")
	}
	command := exec.Command(r.Argv[0], r.Argv[1:]...)
	command.Env = append(os.Environ(), r.Env...)
	command.Stdin = bytes.NewReader(r.Stdin)
	command.Stdout = output(func(p []byte) error { return a.reply(Reply{ID: r.ID, Stdout: p}) })
	command.Stderr = output(func(p []byte) error { return a.reply(Reply{ID: r.ID, Stderr: p}) })
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		return nil, err
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.running[r.ID] = command.Process
	return command, nil
}

// finish waits for the end of a program and tells it.
func (a *agent) finish(id int64, command *exec.Cmd, err error) {
	if err == nil {
		err = command.Wait()
	}
	done := Reply{ID: id, Done: true}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		status := exit.Sys().(syscall.WaitStatus)
		done.Exit = status.ExitStatus()
		if status.Signaled() {
			done.Exit = 128 + int(status.Signal())
		}
	case err != nil:
		done.Exit, done.Error = 127, err.Error()
	}
	a.mu.Lock()
	delete(a.running, id)
	a.mu.Unlock()
	// Where the port is gone there is nobody left to tell.
	_ = a.reply(done)
}

type output func([]byte) error

func (o output) Write(p []byte) (int, error) {
	if err := o(p); err != nil {
		return 0, err
	}
	return len(p), nil
}
