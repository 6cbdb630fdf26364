package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgrecall/pgrecall/admin"
)

// member is one process of the demo's fleet. One that is killed and started again is a new member at the same addresses.
type member struct {
	name          string
	listen, admin string // host:port
	command       *exec.Cmd
	words         tail          // what it wrote to standard error last
	exited        chan struct{} // closed when the process has ended
	readyAfter    time.Duration // from the start of the process until /readyz said so
	killed        atomic.Bool   // set before the process is: what goes wrong from then on is no news

	admission *admission
	counted   admin.Status // by the process, when it was asked last
	served    latencies    // of the reads that it answered
}

// admission lets some reads through, and all once it is open.
type admission struct {
	left, unanswered atomic.Int64
	through          chan struct{} // closed when those that were let through first have been answered
	open             chan struct{} // closed when all may go
}

// admit lets the first n reads through.
func admit(n int64) *admission {
	a := &admission{through: make(chan struct{}), open: make(chan struct{})}
	a.left.Store(n)
	a.unanswered.Store(n)
	return a
}

// enter waits until the caller may ask. Counted is true for one of the first. False: the context has ended.
func (a *admission) enter(ctx context.Context) (counted, ok bool) {
	if a.left.Load() > 0 && a.left.Add(-1) >= 0 {
		return true, true
	}
	return false, a.await(ctx)
}

// await waits until all may go. False: the context has ended.
func (a *admission) await(ctx context.Context) bool {
	select {
	case <-a.open:
		return true
	case <-ctx.Done():
		return false
	}
}

// answered tells that one of the first reads is over.
func (a *admission) answered() {
	if a.unanswered.Add(-1) == 0 {
		close(a.through)
	}
}

// startMember starts this program as a proxy and waits until it is ready for clients.
func (d *fleetDemo) startMember(ctx context.Context, name, listen, adminAddress string) (*member, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	m := &member{name: name, listen: listen, admin: adminAddress, exited: make(chan struct{}), admission: admit(0)}
	m.command = exec.Command(program, slices.Concat([]string{"serve"}, d.arguments, []string{"--listen", listen, "--admin", adminAddress})...)
	m.command.Env = append(os.Environ(), d.environment...)
	m.command.Stderr = &m.words
	// Ctrl-C is for the demo, which ends its processes itself; they go when it is gone.
	m.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGTERM}
	output, err := m.command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	if err := m.command.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	listening := make(chan struct{})
	go func() {
		defer close(m.exited)
		m.read(output, listening)
		_ = m.command.Wait() // its last words tell more
	}()
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	select {
	case <-listening:
		err = m.awaitReady(ctx)
	case <-m.exited:
		err = errors.New("it ended")
	case <-ctx.Done():
		err = ctx.Err()
	}
	if err != nil {
		m.kill()
		return nil, fmt.Errorf("start %s: %w: %s", name, err, m.words.String())
	}
	m.readyAfter = time.Since(began)
	return m, nil
}

// read takes the process's output and tells when it listens.
func (m *member) read(output io.Reader, listening chan<- struct{}) {
	told := false
	lines := bufio.NewScanner(output)
	for lines.Scan() {
		if !told && strings.HasPrefix(lines.Text(), "listening on ") {
			close(listening)
			told = true
		}
	}
}

// awaitReady asks as a load balancer does.
func (m *member) awaitReady(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		body, err := m.get(ctx, "/readyz")
		if err == nil {
			return body.Close()
		}
		select {
		case <-tick.C:
		case <-m.exited:
			return errors.New("it ended")
		case <-ctx.Done():
			return fmt.Errorf("not ready: %w", err)
		}
	}
}

// get fetches a page of the admin server, which the caller closes.
func (m *member) get(ctx context.Context, path string) (io.ReadCloser, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+m.admin+path, nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, errors.Join(fmt.Errorf("%s says %s", path, response.Status), response.Body.Close())
	}
	return response.Body, nil
}

// figures reads what the process has counted, into counted, too.
func (m *member) figures(ctx context.Context) (admin.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, closeTimeout)
	defer cancel()
	body, err := m.get(ctx, "/api/status")
	if err != nil {
		return admin.Status{}, fmt.Errorf("figures of %s: %w", m.name, err)
	}
	var status admin.Status
	if err := errors.Join(json.NewDecoder(body).Decode(&status), body.Close()); err != nil {
		return admin.Status{}, fmt.Errorf("figures of %s: %w", m.name, err)
	}
	m.counted = status
	return status, nil
}

// target is the way to the database through this member.
func (m *member) target(direct *pgx.ConnConfig) *pgx.ConnConfig {
	to := direct.Copy()
	host, port, _ := net.SplitHostPort(m.listen) // was made from them
	number, _ := strconv.ParseUint(port, 10, 16)
	to.Host, to.Port = host, uint16(number)
	to.TLSConfig, to.Fallbacks = nil, nil // this machine's loopback
	to.DefaultQueryExecMode = pgx.QueryExecModeExec
	return to
}

// kill ends the process as a crash does.
func (m *member) kill() {
	m.killed.Store(true)
	_ = m.command.Process.Kill() // fails only where it has ended already
	<-m.exited
}

// close ends the process in order, within the time that the context has.
func (m *member) close(ctx context.Context) {
	m.killed.Store(true)
	_ = m.command.Process.Signal(syscall.SIGTERM) // as above
	select {
	case <-m.exited:
	case <-ctx.Done():
		m.kill()
	}
}

// tail keeps the end of what is written to it.
type tail struct {
	mu   sync.Mutex
	text []byte
}

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	const most = 2 << 10
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, b...)
	t.text = t.text[max(0, len(t.text)-most):]
	return len(b), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return strings.TrimSpace(string(t.text))
}

// freeAddress returns the wanted port of 127.0.0.1 where nothing listens there, else another below the range from which Linux
// takes the ports of outgoing connections: none of those takes it while a member is down.
func freeAddress(wanted int) (string, error) {
	const lowest, count, attempts = 10000, 22768, 50
	var failures error
	for range attempts {
		if wanted == 0 {
			wanted = lowest + rand.IntN(count)
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(wanted))
		l, err := net.Listen("tcp", address)
		if err == nil {
			return address, l.Close()
		}
		failures, wanted = errors.Join(failures, err), 0
	}
	return "", fmt.Errorf("no free port: %w", failures)
}
