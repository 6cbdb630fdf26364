package linear

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"time"
)

// Variables that make this test binary be a pgrecall: where it listens, and the DSN of its upstream.
const (
	listenVariable   = "PGRECALL_LINEAR_LISTEN"
	upstreamVariable = "PGRECALL_LINEAR_UPSTREAM"
)

// processTimeout bounds the start and the end of a pgrecall.
const processTimeout = 20 * time.Second

// report is what a running pgrecall says of itself.
type report struct {
	Outcomes map[string]int64
	Ready    bool // the catalog is loaded: reads can be answered from the cache
}

// outcomes makes the report; reasons not to answer from the cache are among the outcomes.
func outcomes(p *pgrecall) report {
	status := p.Status()
	now := report{Outcomes: status.Outcomes, Ready: p.Ready() == nil}
	for reason, n := range status.Bypasses {
		now.Outcomes["not cached: "+reason] = n
	}
	return now
}

// beProcess is the main function of a pgrecall that can be killed. It answers each line on standard input with a report, and ends
// in order with it.
func beProcess() int {
	p, err := serve(os.Getenv(listenVariable), os.Getenv(upstreamVariable), os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("listening")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		b, err := json.Marshal(outcomes(p))
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Printf("%s\n", b)
	}
	p.close()
	return 0
}

// process is a pgrecall of its own that is killed and started again at the same address.
type process struct {
	listen, upstream string
	log              *os.File // what it writes to standard error

	mu       sync.Mutex
	command  *exec.Cmd
	stdin    io.WriteCloser
	stdout   *bufio.Reader
	outcomes map[string]int64 // of those that are gone
}

// newProcess starts a pgrecall. The log stays the caller's.
func newProcess(upstream string, log *os.File) (*process, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &process{listen: l.Addr().String(), upstream: upstream, log: log, outcomes: map[string]int64{}}
	if err := l.Close(); err != nil {
		return nil, err
	}
	return p, p.start()
}

// start runs the process and returns when it accepts clients.
func (p *process) start() error {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), listenVariable+"="+p.listen, upstreamVariable+"="+p.upstream)
	c.Stderr = p.log
	stdin, err := c.StdinPipe()
	if err != nil {
		return err
	}
	stdout, err := c.StdoutPipe()
	if err != nil {
		return err
	}
	if err := c.Start(); err != nil {
		return err
	}
	p.command, p.stdin, p.stdout = c, stdin, bufio.NewReader(stdout)
	if line, err := p.stdout.ReadString('\n'); err != nil || line != "listening\n" {
		return errors.Join(fmt.Errorf("pgrecall did not start: %q", line), err, c.Process.Kill(), c.Wait())
	}
	return nil
}

// ask returns the report of the running process. It is called with mu held.
func (p *process) ask() (now report, err error) {
	if _, err := io.WriteString(p.stdin, "\n"); err != nil {
		return now, err
	}
	line, err := p.stdout.ReadBytes('\n')
	if err != nil {
		return now, err
	}
	return now, json.Unmarshal(line, &now)
}

// ready tells whether the running process has loaded the catalog.
func (p *process) ready() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, err := p.ask()
	return err == nil && now.Ready
}

// restart kills the process with SIGKILL and starts another one, with an empty cache.
func (p *process) restart() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, err := p.ask()
	if err != nil {
		return err
	}
	add(p.outcomes, last.Outcomes)
	if err := p.command.Process.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	_ = p.command.Wait() // "signal: killed"
	return p.start()
}

// status returns the outcomes of all statements since the first start.
func (p *process) status() (map[string]int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, err := p.ask()
	add(now.Outcomes, p.outcomes)
	return now.Outcomes, err
}

func add(sum, outcomes map[string]int64) {
	for name, n := range outcomes {
		sum[name] += n
	}
}

// end lets the process end in order. The error is its exit status: the race detector's, too.
func (p *process) end() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	timer := time.AfterFunc(processTimeout, func() { _ = p.command.Process.Kill() })
	defer timer.Stop()
	return errors.Join(p.stdin.Close(), p.command.Wait())
}
