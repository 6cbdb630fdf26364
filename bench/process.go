package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// stopGrace is how long a server may take to end in order before it is killed.
const stopGrace = 10 * time.Second

// process is a server that this program started. It dies with this program.
type process struct {
	name    string
	command *exec.Cmd
	logFile string
	signal  syscall.Signal // the one that the server takes for "end now, in order"
	exited  chan struct{}
}

// launch is how to start a server.
type launch struct {
	name        string
	directory   string // gets the log; the server's working directory
	arguments   []string
	environment []string       // beside this program's own
	signal      syscall.Signal // to stop it; SIGTERM where zero
	serviceUser bool           // the server refuses to run as root
}

// start runs the server with its output in a file, without waiting until it is ready.
func (l launch) start() (*process, error) {
	p := &process{
		name:    l.name,
		command: exec.Command(l.arguments[0], l.arguments[1:]...),
		logFile: filepath.Join(l.directory, l.name+".log"),
		signal:  l.signal,
		exited:  make(chan struct{}),
	}
	if p.signal == 0 {
		p.signal = syscall.SIGTERM
	}
	log, err := os.Create(p.logFile)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has its own
	p.command.Dir = l.directory
	p.command.Env = append(inherited(), l.environment...)
	p.command.Stdout, p.command.Stderr = log, log
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: p.signal}
	if l.serviceUser {
		if p.command.SysProcAttr.Credential, err = serviceCredential(); err != nil {
			return nil, err
		}
	}
	if err := p.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", l.name, err)
	}
	go func() {
		_ = p.command.Wait() // its status is in ProcessState
		close(p.exited)
	}()
	return p, nil
}

// inherited is this program's environment without what would configure a pgrecall.
func inherited() []string {
	return slices.DeleteFunc(os.Environ(), func(variable string) bool {
		return strings.HasPrefix(variable, "PGRECALL_") || strings.HasPrefix(variable, "DATABASE_URL=")
	})
}

// stop ends the server and waits for that.
func (p *process) stop() {
	if p.running() {
		_ = p.command.Process.Signal(p.signal) // fails only if it has just ended
	}
	select {
	case <-p.exited:
	case <-time.After(stopGrace):
		_ = p.command.Process.Kill()
		<-p.exited
	}
}

func (p *process) running() bool {
	select {
	case <-p.exited:
		return false
	default:
		return true
	}
}

func (p *process) pid() int { return p.command.Process.Pid }

// lastWords is the end of the server's log, for messages about its failure.
func (p *process) lastWords() string {
	const length = 400
	text, err := os.ReadFile(p.logFile)
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(text[max(0, len(text)-length):]))
}

// serviceCredential is the account for servers that refuse root: nil where this program does not
// run as root.
func serviceCredential() (*syscall.Credential, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	account, err := serviceAccount()
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(account.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(account.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

func serviceAccount() (*user.User, error) {
	if account, err := user.Lookup("postgres"); err == nil {
		return account, nil
	}
	return user.Lookup("nobody")
}

// serviceDirectory makes a directory that the service account may write to.
func serviceDirectory(parent, name string) (string, error) {
	directory := filepath.Join(parent, name)
	if err := os.Mkdir(directory, 0o755); err != nil {
		return "", err
	}
	credential, err := serviceCredential()
	if err != nil || credential == nil {
		return directory, err
	}
	return directory, os.Chown(directory, int(credential.Uid), int(credential.Gid))
}
