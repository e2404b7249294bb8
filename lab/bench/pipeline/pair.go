package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ssyncp/ssyncp/internal/keyring"
	"github.com/ssyncp/ssyncp/lab/netns"
)

// director is a daemon on a processor of its own.
type director struct {
	name    string
	process *exec.Cmd
	in      io.WriteCloser
	out     *bufio.Scanner
	log     said
}

// said is what a process says on its standard error.
type said struct {
	mu   sync.Mutex
	text strings.Builder
}

// Write is io.Writer's.
func (s *said) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// String returns all of it.
func (s *said) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// pair is two directors with a link between them, and a key.
type pair struct {
	directory  string
	namespaces []*netns.Namespace
	sender     *director
	receiver   *director
}

// newPair starts them: each in a namespace, on a processor.
func newPair(o options) (_ *pair, err error) {
	p := &pair{}
	defer func() {
		if err != nil {
			p.close()
		}
	}()
	if p.directory, err = os.MkdirTemp("", "ssyncp-pipeline-"); err != nil {
		return nil, err
	}
	for _, side := range []string{"a", "b"} {
		ns, err := netns.New(fmt.Sprintf("ssyncp-pipeline-%d-%s", os.Getpid(), side))
		if err != nil {
			return nil, err
		}
		p.namespaces = append(p.namespaces, ns)
	}
	a, b := p.namespaces[0], p.namespaces[1]
	if err := a.IP("link add eth0 index 1001 type veth peer name eth0 netns " + b.Name + "\n"); err != nil {
		return nil, err
	}
	for i, ns := range p.namespaces {
		if err := ns.IP(fmt.Sprintf("address add 192.0.2.%d/24 dev eth0\nlink set eth0 up\n", i+1)); err != nil {
			return nil, err
		}
	}
	key := filepath.Join(p.directory, "key")
	if _, err := keyring.Create(key); err != nil {
		return nil, err
	}
	start := func(number int, ns *netns.Namespace) (*director, error) {
		link := "eth0"
		if o.udp > 0 {
			link += ",udp_port=" + strconv.Itoa(o.udp)
		}
		return startDirector(o, number, ns, "--sync-id=7", "--wire-version=2", "--wire-key-file="+key, "--links="+link,
			"--wire-sender-id="+strconv.Itoa(number), "--multicast-max-pps=1000000", "--wire-join-timeout=1s",
			"--device-period="+o.period.String())
	}
	if p.sender, err = start(1, a); err != nil {
		return nil, err
	}
	if err := p.sender.says("to="); err != nil { // synced, alone
		return nil, err
	}
	if p.receiver, err = start(2, b); err != nil {
		return nil, err
	}
	if err := p.receiver.says("to=synced"); err != nil {
		return nil, err
	}
	return p, p.sender.says("peer is there")
}

func startDirector(o options, number int, ns *netns.Namespace, args ...string) (*director, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	d := &director{name: []string{"sender", "receiver"}[number-1]}
	argv := append([]string{"taskset", "-c", strconv.Itoa(number - 1), self}, args...)
	if o.realTime {
		argv = append([]string{"chrt", "-f", "1"}, argv...)
	}
	d.process = exec.Command(argv[0], argv[1:]...)
	d.process.Env = append(os.Environ(), childVariable+"=1", "GOMAXPROCS=1")
	if o.profile != "" {
		d.process.Env = append(d.process.Env, profileVariable+"="+filepath.Join(o.profile, d.name+".pprof"))
	}
	d.process.Stderr = &d.log
	if d.in, err = d.process.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := d.process.StdoutPipe()
	if err != nil {
		return nil, err
	}
	d.out = bufio.NewScanner(out)
	return d, ns.Start(d.process)
}

var errSilent = errors.New("pipeline: a director does not do what it ought to")

// says waits until the log has a text.
func (d *director) says(text string) error {
	for range 1000 {
		if strings.Contains(d.log.String(), text) {
			return nil
		}
		time.Sleep(10 * time.Millisecond)
	}
	return fmt.Errorf("%w: the %s does not say %q:\n%s", errSilent, d.name, text, d.log.String())
}

// do has it do something, and returns what happened so far.
func (d *director) do(o order) (r reply, err error) {
	line, err := json.Marshal(o)
	if err != nil {
		return r, err
	}
	if _, err := d.in.Write(append(line, '\n')); err != nil {
		return r, fmt.Errorf("the %s: %w:\n%s", d.name, err, d.log.String())
	}
	if !d.out.Scan() {
		return r, fmt.Errorf("%w: no answer of the %s:\n%s", errSilent, d.name, d.log.String())
	}
	return r, json.Unmarshal(d.out.Bytes(), &r)
}

// close ends them, and gives their logs back to who wants them.
func (p *pair) close() (logs map[string]string) {
	logs = map[string]string{}
	for _, d := range []*director{p.sender, p.receiver} {
		if d == nil {
			continue
		}
		d.in.Close() // it stops, and says what it counted
		ended := make(chan error, 1)
		go func() { ended <- d.process.Wait() }()
		select {
		case <-ended:
		case <-time.After(15 * time.Second):
			d.process.Process.Kill()
			<-ended
		}
		logs[d.name] = d.log.String()
	}
	for _, ns := range p.namespaces {
		if err := ns.Close(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}
	if err := os.RemoveAll(p.directory); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return logs
}
