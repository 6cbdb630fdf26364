package pgtest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// process is a running server.
type process struct {
	pid  int
	done chan struct{} // closed when the process has ended
}

// start runs the command in a goroutine that lives as long as the process does: the signal at
// the parent's death belongs to the thread that forked, so that this thread must stay.
func start(command *exec.Cmd, atParentsDeath syscall.Signal) (*process, error) {
	command.SysProcAttr.Pdeathsig = atParentsDeath
	p := &process{done: make(chan struct{})}
	started := make(chan error)
	go p.run(command, started)
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *process) run(command *exec.Cmd, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	defer close(p.done)
	if err := command.Start(); err != nil {
		started <- err
		return
	}
	p.pid = command.Process.Pid
	started <- nil
	_ = command.Wait() // the server's log tells why it ended
}

// signal sends a signal unless the process has ended.
func (p *process) signal(s syscall.Signal) error {
	select {
	case <-p.done:
		return nil
	default:
	}
	if err := syscall.Kill(p.pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal process %d: %w", p.pid, err)
	}
	return nil
}

// pause stops the process, and returns when none of its threads runs any more: the signal itself is only delivered by then.
func (p *process) pause() error {
	if err := p.signal(syscall.SIGSTOP); err != nil {
		return err
	}
	deadline := time.Now().Add(startTimeout)
	for {
		stopped, err := p.stopped()
		if stopped || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("process %d goes on after SIGSTOP", p.pid)
		}
		<-time.After(time.Millisecond) // the kernel tells a parent only, whose wait is another's
	}
}

// stopped tells whether all threads are stopped, as a dead process's are (proc(5), /proc/pid/task/tid/stat).
func (p *process) stopped() (bool, error) {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", p.pid))
	if err != nil {
		return false, err
	}
	for _, file := range files {
		stat, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			continue
		}
		if err != nil {
			return false, err
		}
		after := stat[bytes.LastIndexByte(stat, ')')+1:]
		if state := bytes.TrimSpace(after); len(state) > 0 && !bytes.ContainsAny(state[:1], "TtZX") {
			return false, nil
		}
	}
	return true, nil
}

// guard is a shell that outlives this process: when this process is gone, however it ended,
// it stops the server whose process id stands in a file and removes the server's directory.
// The signal at the parent's death can't remove anything.
type guard struct {
	command  *exec.Cmd
	lifeline *os.File
}

// newGuard starts a guard. The pid is read when it is needed, since restarts change it.
func newGuard(pidFile, directory string) (*guard, error) {
	const script = `read _
[ -s "$1" ] && kill -QUIT "$(head -n 1 "$1")"
sleep 0.2
rm -rf "$2"`
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer read.Close() // the shell has its own copy
	command := exec.Command("/bin/sh", "-c", script, "sh", pidFile, directory)
	command.Stdin = read
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := command.Start(); err != nil {
		return nil, errors.Join(err, write.Close())
	}
	return &guard{command: command, lifeline: write}, nil
}

// dismiss ends the guard; the server must have been stopped and its directory removed.
func (g *guard) dismiss() error {
	err := syscall.Kill(-g.command.Process.Pid, syscall.SIGKILL)
	_ = g.command.Wait() // killed, as intended
	return errors.Join(err, g.lifeline.Close())
}
