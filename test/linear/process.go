package linear

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// settingsVariable makes this test binary be a pgrecall with these settings, in JSON.
const settingsVariable = "PGRECALL_LINEAR_SETTINGS"

// processTimeout bounds the start and the end of a pgrecall, shutdownGrace what its clients have of that.
const (
	processTimeout = 20 * time.Second
	shutdownGrace  = 200 * time.Millisecond
)

// report is what a running pgrecall says of itself.
type report struct {
	Outcomes map[string]int64
	Ready    bool // the catalog is loaded, and it is certain what the others do: reads can be answered from the cache
}

// Names of outcomes that are no outcomes of statements.
const (
	moments     = "moments"      // that were looked at
	momentsLive = "moments live" // at which pgrecall was certain of the others
)

// momentLength is the time between two moments at which a pgrecall looks whether it is Live.
const momentLength = 5 * time.Millisecond

// outcomes makes the report; reasons not to answer from the cache are among the outcomes, and what happened in the fleet.
func outcomes(p *pgrecall, s settings) report {
	status := p.Status()
	now := report{Outcomes: status.Outcomes, Ready: p.Ready() == nil}
	for reason, n := range status.Bypasses {
		now.Outcomes["not cached: "+reason] = n
	}
	if f := status.Fleet; f != nil {
		now.Ready = now.Ready && (f.Live || s.Session && f.Member)
		for what, n := range map[string]uint64{
			"writes without the log": f.Alone, "members that fell silent": f.Missing, "memberships lost": f.Lost, "gaps in the log": f.Gaps, "forks of the log": f.Forks,
			"results of L2 not provable": status.L2.Stale,
		} {
			now.Outcomes["fleet: "+what] = int64(n)
		}
	}
	return now
}

// beProcess is the main function of a pgrecall that can be killed. It answers each line on standard input with a report, and ends
// in order with it.
func beProcess() int {
	var s settings
	err := json.Unmarshal([]byte(os.Getenv(settingsVariable)), &s)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	p, err := serve(s, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println("listening")
	var looked, live atomic.Int64
	if s.Redis != "" {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		go func() {
			for range time.Tick(momentLength) {
				looked.Add(1)
				if p.AwaitFleet(now) {
					live.Add(1)
				}
			}
		}()
	}
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		now := outcomes(p, s)
		now.Outcomes[moments], now.Outcomes[momentsLive] = looked.Load(), live.Load()
		b, err := json.Marshal(now)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		fmt.Printf("%s\n", b)
	}
	p.close(shutdownGrace)
	return 0
}

// process is a pgrecall of its own that is killed and started again at the same address.
type process struct {
	settings
	log *os.File // what it writes to standard error

	generation atomic.Int64 // how often it was started; odd: it is on its way to the next
	asleep     atomic.Bool  // stopped by a signal

	mu       sync.Mutex
	command  *exec.Cmd
	stdin    io.WriteCloser
	stdout   *bufio.Reader
	outcomes map[string]int64 // of those that are gone
}

// newProcess starts a pgrecall at an address of its own. The log stays the caller's.
func newProcess(s settings, log *os.File) (*process, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &process{settings: s, log: log, outcomes: map[string]int64{}}
	p.Listen = l.Addr().String()
	if err := l.Close(); err != nil {
		return nil, err
	}
	return p, p.start()
}

// start runs the process and returns when it accepts clients.
func (p *process) start() error {
	s, err := json.Marshal(p.settings)
	if err != nil {
		return err
	}
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), settingsVariable+"="+string(s))
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

// restart ends the process, with SIGKILL or in order, and starts another one with an empty cache.
func (p *process) restart(inOrder bool) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	last, err := p.ask()
	if err != nil {
		return err
	}
	add(p.outcomes, last.Outcomes)
	p.generation.Add(1)
	defer p.generation.Add(1)
	if inOrder {
		if err := p.leave(); err != nil {
			return fmt.Errorf("pgrecall did not end in order: %w", err)
		}
		return p.start()
	}
	if err := p.command.Process.Signal(syscall.SIGKILL); err != nil {
		return err
	}
	_ = p.command.Wait() // "signal: killed"
	return p.start()
}

// sleep stops the process, as a machine that is suspended does, until wake.
func (p *process) sleep() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asleep.Store(true)
	return p.command.Process.Signal(syscall.SIGSTOP)
}

func (p *process) wake() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asleep.Store(false)
	return p.command.Process.Signal(syscall.SIGCONT)
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
	return p.leave()
}

// leave is called with mu held.
func (p *process) leave() error {
	timer := time.AfterFunc(processTimeout, func() { _ = p.command.Process.Kill() })
	defer timer.Stop()
	return errors.Join(p.stdin.Close(), p.command.Wait())
}
